// The steps of a route as one request passes them: those that it has reached hear what becomes of it. A step may end the exchange
// from within; then no further one is asked.
import type { FaultCode } from '#flow/error.ts'
import type { Attempt, Exchange, Step, Verdict } from '#flow/exchange.ts'
import type { Fields, ResetCode } from '#flow/stream.ts'

interface Walker extends Exchange {
  readonly isFinished: boolean
}

export class StepWalk {
  readonly #steps: readonly Step[]
  readonly #walker: Walker
  readonly #hasActivity: boolean
  #next = 0

  constructor(steps: readonly Step[], walker: Walker) {
    this.#steps = steps
    this.#walker = walker
    this.#hasActivity = steps.some((step) => step.onActivity !== undefined)
  }

  /** Goes on where it stopped; `continue` once all have been passed. */
  onRequest(): Verdict {
    while (this.#next < this.#steps.length) {
      const step = this.#steps[this.#next++] as Step
      const verdict = step.onRequest?.(this.#walker) ?? 'continue'
      if (this.#walker.isFinished) return 'answered'
      if (verdict === 'answered' || verdict === 'wait') return verdict
    }
    return 'continue'
  }

  onAttempt(attempt: Attempt, fields: Fields): void {
    for (const step of this.#steps) step.onAttempt?.(this.#walker, attempt, fields)
  }

  onResponse(): Verdict {
    for (let i = 0; i < this.#next; i++) {
      const verdict = this.#steps[i]?.onResponse?.(this.#walker) ?? 'continue'
      if (this.#walker.isFinished) return 'answered'
      if (verdict === 'answered' || verdict === 'retry') return verdict
    }
    return 'continue'
  }

  onAttemptFailed(attempt: Attempt, code: FaultCode): Verdict {
    for (let i = 0; i < this.#next; i++) {
      const verdict = this.#steps[i]?.onAttemptFailed?.(this.#walker, attempt, code) ?? 'continue'
      if (this.#walker.isFinished) return 'answered'
      if (verdict === 'retry') return verdict
    }
    return 'continue'
  }

  onAttemptEnd(attempt: Attempt, code: FaultCode | null): void {
    for (const step of this.#steps) step.onAttemptEnd?.(this.#walker, attempt, code)
  }

  onActivity(): void {
    if (!this.#hasActivity) return
    for (const step of this.#steps) step.onActivity?.(this.#walker)
  }

  onReset(code: ResetCode): void {
    for (let i = 0; i < this.#next; i++) this.#steps[i]?.onReset?.(this.#walker, code)
  }

  onEnd(): void {
    for (let i = 0; i < this.#next; i++) this.#steps[i]?.onEnd?.(this.#walker)
  }
}
