// What a peer may do without ever being refused, counted. Each kind is a bucket that empties with time: bursts are honest, a
// lasting stream of frames that cost their sender nothing is not (CVE-2023-44487, CVE-2024-27316, CVE-2019-9511 to 9518, CVE-2025-8671).
import type { Clock } from '#shared/clock.ts'

interface Allowance {
  readonly burst: number
  readonly perSecond: number
  readonly detail: string
}

const ALLOWANCES = {
  /** Requests given up by their client, or that we had to give up because of it, before they were answered. */
  reset: { burst: 400, perSecond: 100, detail: 'requests are opened only to be reset' },
  settings: { burst: 50, perSecond: 2, detail: 'too many SETTINGS' },
  /** gRPC measures with a PING per round trip while data comes: DATA pays for them. */
  ping: { burst: 1000, perSecond: 100, detail: 'too many PINGs' },
  /** DATA without a byte and heads in empty pieces. */
  empty: { burst: 200, perSecond: 20, detail: 'too many empty frames' },
  /** Sent DATA pays for them. */
  window: { burst: 2000, perSecond: 200, detail: 'too many WINDOW_UPDATEs' },
  /** PRIORITY, frames of unknown types and on closed streams: read and ignored. */
  ignored: { burst: 1000, perSecond: 100, detail: 'too many frames that mean nothing' },
} as const satisfies Record<string, Allowance>

export type AbuseKind = keyof typeof ALLOWANCES

export class Abuse {
  readonly #clock: Clock
  readonly #buckets = new Map<AbuseKind, { level: number; since: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Returns what is wrong once there were too many; null while all is well. */
  count(kind: AbuseKind): string | null {
    const { burst, perSecond, detail } = ALLOWANCES[kind]
    const bucket = this.#bucket(kind)
    bucket.level++
    if (bucket.level <= burst) return null
    // Only now is the time worth asking for.
    const now = this.#clock.now()
    bucket.level = Math.max(1, bucket.level - ((now - bucket.since) / 1000) * perSecond)
    bucket.since = now
    return bucket.level > burst ? detail : null
  }

  /** What the peer did honestly pays for what it will do. */
  credit(kind: AbuseKind, amount: number): void {
    const bucket = this.#buckets.get(kind)
    if (bucket !== undefined) bucket.level = Math.max(0, bucket.level - amount)
  }

  /** How long until the bucket is below its brim by a tenth: a peer that is throttled waits so long. */
  overflowMs(kind: AbuseKind): number {
    return (ALLOWANCES[kind].burst / ALLOWANCES[kind].perSecond) * 100
  }

  #bucket(kind: AbuseKind): { level: number; since: number } {
    let bucket = this.#buckets.get(kind)
    if (bucket === undefined) {
      bucket = { level: 0, since: this.#clock.now() }
      this.#buckets.set(kind, bucket)
    }
    return bucket
  }
}
