// The one error of this folder: the peer broke the rules of HTTP/1.1. Its detail is ours alone, never the peer's bytes.
import { type FaultCode, FlowError } from '#flow/error.ts'

export class Malformed extends FlowError {
  /** Names the rule that was broken, for the access log and the answer. */
  readonly detail: string

  constructor(code: FaultCode, detail: string) {
    super(code)
    this.detail = detail
  }
}

export function malformed(detail: string): Malformed {
  return new Malformed('BAD_REQUEST', detail)
}
