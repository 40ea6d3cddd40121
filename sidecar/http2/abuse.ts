// What a peer may do without ever being refused, counted. Each kind is a bucket: bursts are honest, a lasting stream of frames that
// cost their sender nothing is not (CVE-2024-27316, CVE-2019-9511 to 9518). Resets have their own page, resets.ts.
import type { Clock } from '#shared/clock.ts'
import { type Allowance, Bucket } from './bucket.ts'
import { flood } from './faults.ts'
import type { Scheduler } from './scheduler.ts'

const ALLOWANCES = {
  settings: { burst: 50, perSecond: 2, detail: 'too many SETTINGS' },
  /** gRPC measures with a PING per round trip while data comes: DATA pays for them. */
  ping: { burst: 1000, perSecond: 100, detail: 'too many PINGs' },
  /** DATA without a byte and heads in empty pieces. */
  empty: { burst: 200, perSecond: 20, detail: 'too many empty frames' },
  /** Sent DATA pays for them. */
  window: { burst: 2000, perSecond: 200, detail: 'too many WINDOW_UPDATEs' },
  /** PRIORITY, frames of unknown types and on closed streams: read and ignored. */
  ignored: { burst: 1000, perSecond: 100, detail: 'too many frames that mean nothing' },
} as const satisfies Record<string, Allowance & { readonly detail: string }>

export type AbuseKind = keyof typeof ALLOWANCES

export class Abuse {
  readonly #scheduler: Scheduler
  readonly #clock: Clock
  readonly #buckets = new Map<AbuseKind, Bucket>()

  constructor(scheduler: Scheduler, clock: Clock) {
    this.#scheduler = scheduler
    this.#clock = clock
  }

  /** Throws ConnectionFault once there were too many. */
  count(kind: AbuseKind): void {
    const bucket = this.#bucket(kind)
    if (kind === 'window') {
      bucket.pay(this.#scheduler.framesSent * 4)
      this.#scheduler.framesSent = 0
    }
    if (bucket.add()) throw flood(ALLOWANCES[kind].detail)
  }

  /** DATA that came pays for PINGs. */
  onData(): void {
    this.#buckets.get('ping')?.pay(1)
  }

  #bucket(kind: AbuseKind): Bucket {
    let bucket = this.#buckets.get(kind)
    if (bucket === undefined) {
      bucket = new Bucket(ALLOWANCES[kind], this.#clock)
      this.#buckets.set(kind, bucket)
    }
    return bucket
  }
}
