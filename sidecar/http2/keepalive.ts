// PINGs of our own: to see whether a silent peer is alive, and to learn that it has seen what was sent before.
import type { Clock } from '#shared/clock.ts'
import { writePing } from './frames.ts'
import type { Output } from './output.ts'

const KEEPALIVE = 0x77656674
const MARKER = 0x6d61726b

export class Pings {
  readonly #output: Output
  readonly #clock: Clock
  #cancelTick: (() => void) | null = null
  #cancelMarker: (() => void) | null = null
  #isHeard = true
  #missed = 0
  #onMarker: (() => void) | null = null

  constructor(output: Output, clock: Clock) {
    this.#output = output
    this.#clock = clock
  }

  /** A PING whenever nothing came for that long; `onDead` after two without a sign of life. */
  keepAlive(everyMs: number, onDead: () => void): void {
    this.#cancelTick = this.#clock.after(everyMs, () => {
      this.#missed = this.#isHeard ? 0 : this.#missed + 1
      if (this.#missed > 2) return onDead()
      if (this.#missed > 0) writePing(this.#output, 0, KEEPALIVE, this.#missed)
      this.#isHeard = false
      this.keepAlive(everyMs, onDead)
    })
  }

  /** Bytes came, of whatever kind. */
  heard(): void {
    this.#isHeard = true
  }

  /** `onSeen` once the peer has answered all that was sent until now, or the time is over. */
  markNow(withinMs: number, onSeen: () => void): void {
    writePing(this.#output, 0, MARKER, 0)
    this.#onMarker = () => {
      this.#onMarker = null
      this.#cancelMarker?.()
      onSeen()
    }
    this.#cancelMarker = this.#clock.after(withinMs, () => this.#onMarker?.())
  }

  onAck(high: number): void {
    if (high === MARKER) this.#onMarker?.()
  }

  stop(): void {
    this.#cancelTick?.()
    this.#cancelMarker?.()
    this.#onMarker = null
  }
}
