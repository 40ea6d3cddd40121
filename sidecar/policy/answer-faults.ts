// The one place that turns a FaultCode into an answer. Made once for each code: a storm of faults costs no formatting.
import { FAULTS, type FaultCode } from '#flow/error.ts'
import type { Fields } from '#flow/stream.ts'

export interface FaultAnswer {
  readonly head: Fields
  readonly body: Uint8Array
}

/** The field by which a local answer explains itself. */
export const REASON_FIELD = 'x-weft-reason'

const NOTHING = Buffer.alloc(0)
const ANSWERS = new Map<FaultCode, { readonly http: FaultAnswer; readonly grpc: FaultAnswer }>()
for (const code of Object.keys(FAULTS) as FaultCode[]) {
  ANSWERS.set(code, { http: makeAnswer(code), grpc: makeGrpcAnswer(code) })
}

/** Shared: copy the head before changing it. A call of gRPC understands a status of gRPC only. */
export function answerFault(code: FaultCode, isGrpc: boolean): FaultAnswer {
  const { http, grpc } = ANSWERS.get(code) as { readonly http: FaultAnswer; readonly grpc: FaultAnswer }
  return isGrpc ? grpc : http
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

/** Trailers alone, in the head of an answer that ends with it. */
function makeGrpcAnswer(code: FaultCode): FaultAnswer {
  const { grpc, text, fix } = FAULTS[code]
  const head = [':status', '200', 'content-type', 'application/grpc', 'grpc-status', String(grpc)]
  head.push('grpc-message', percentEncoded(`weft: ${code}: ${text}. ${fix}`), REASON_FIELD, code)
  return { head, body: NOTHING }
}

/** As gRPC's protocol over HTTP/2 has it: all but printable ASCII, and "%" itself. */
function percentEncoded(text: string): string {
  return text.replace(/[^ -$&-~]/gu, (character) => encodeURIComponent(character))
}
