// A failure that a person can act on: the step that failed, what was found, and the way out. Printed without a stack.

export class Failure extends Error {
  override readonly name = 'Failure'
  /** One or more lines: what to do now. */
  readonly wayOut: string

  constructor(what: string, wayOut: string, options?: ErrorOptions) {
    super(what, options)
    this.wayOut = wayOut
  }

  /** The same, with the error that led to it. */
  static from(cause: unknown, what: string, wayOut: string): Failure {
    return new Failure(what, wayOut, { cause })
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
