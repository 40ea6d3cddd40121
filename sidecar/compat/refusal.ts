// What Node's parser and we refuse, as faults. The text is ours: what Node says may hold the peer's bytes.
import { FAULTS, type FaultCode } from '#flow/error.ts'

export class Refusal extends Error {
  readonly code: FaultCode
  constructor(code: FaultCode, detail: string = FAULTS[code].text) {
    super(detail)
    this.code = code
  }
}

/** gone: nobody is there to be answered. late: more came behind a request that said that it is the last. */
export function refusalOf({ code = '' }: Error & { readonly code?: string }): Refusal | 'gone' | 'late' {
  if (code === 'HPE_CLOSED_CONNECTION') return 'late'
  if (code === 'HPE_INVALID_EOF_STATE') return 'gone'
  if (code === 'HPE_HEADER_OVERFLOW') return new Refusal('HEADER_TOO_LARGE', 'a head of more than 60 KiB')
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new Refusal('HEAD_TIMEOUT', 'no complete head within 10 seconds')
  if (code === 'HPE_INVALID_VERSION') return new Refusal('HTTP_VERSION', "a version that Node's parser does not take")
  return code.startsWith('HPE_') ? new Refusal('BAD_REQUEST', `Node's parser says ${code}`) : 'gone'
}
