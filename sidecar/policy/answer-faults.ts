// The one place that turns a FaultCode into an answer. Made once for each code: a storm of faults costs no formatting.
import { FAULTS, type FaultCode } from '#flow/error.ts'
import type { Fields } from '#flow/stream.ts'

export interface FaultAnswer {
  readonly head: Fields
  readonly body: Uint8Array
}

/** The field by which a local answer explains itself. */
export const REASON_FIELD = 'x-weft-reason'

const ANSWERS = new Map<FaultCode, FaultAnswer>()
for (const code of Object.keys(FAULTS) as FaultCode[]) ANSWERS.set(code, makeAnswer(code))

/** Shared: copy the head before changing it. */
export function answerFault(code: FaultCode): FaultAnswer {
  return ANSWERS.get(code) as FaultAnswer
}

function makeAnswer(code: FaultCode): FaultAnswer {
  const { status, text, fix } = FAULTS[code]
  const body = Buffer.from(`weft: ${code}: ${text}\n${fix}\n`)
  // Status 0 is for faults below HTTP, where the connection is reset; should one meet a request, it is still told.
  const head = [
    ':status',
    String(status === 0 ? 503 : status),
    'content-type',
    'text/plain; charset=utf-8',
    'content-length',
    String(body.length),
    REASON_FIELD,
    code,
  ]
  return { head, body }
}
