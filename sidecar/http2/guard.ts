// What a peer may cost us, watched for one connection: too much of a kind ends it, or, from a peer of the mesh, slows its reading.
import type { Duplex } from 'node:stream'
import type { Clock } from '#shared/clock.ts'
import { Abuse, type AbuseKind } from './abuse.ts'
import { flood } from './faults.ts'
import type { Scheduler } from './scheduler.ts'

export interface GuardParts {
  readonly stream: Duplex
  /** Its DATA frames pay for the window updates that answer them. */
  readonly scheduler: Scheduler
  /** An authenticated peer of the mesh: many resets throttle it and never close the connection. */
  readonly isTrusted: boolean
  readonly clock: Clock
}

export class Guard {
  readonly #parts: GuardParts
  readonly #abuse: Abuse
  #cancelThrottle: (() => void) | null = null

  constructor(parts: GuardParts) {
    this.#parts = parts
    this.#abuse = new Abuse(parts.clock)
  }

  /** Throws ConnectionFault once there were too many. */
  count(kind: AbuseKind): void {
    const { scheduler, isTrusted } = this.#parts
    if (kind === 'window' && scheduler.framesSent > 0) {
      this.#abuse.credit(kind, scheduler.framesSent * 4)
      scheduler.framesSent = 0
    }
    const detail = this.#abuse.count(kind)
    if (detail === null) return
    if (kind === 'reset' && isTrusted) this.#throttle(this.#abuse.overflowMs(kind))
    else throw flood(detail)
  }

  /** DATA that came pays for PINGs. */
  onData(): void {
    this.#abuse.credit('ping', 1)
  }

  #throttle(forMs: number): void {
    if (this.#cancelThrottle !== null) return
    const { stream, clock } = this.#parts
    stream.pause()
    this.#cancelThrottle = clock.after(forMs, () => {
      this.#cancelThrottle = null
      stream.resume()
    })
  }

  stop(): void {
    this.#cancelThrottle?.()
    this.#cancelThrottle = null
  }
}
