// The circuit breaker of a service or route, on opossum. A request asks for a permit; only its end fires opossum, with a
// promise that is settled already: so what a client abandoned does not count, and no promise outlives a request.
import { EventEmitter } from 'node:events'
import CircuitBreaker from 'opossum'
import type { CircuitBreakerPolicy } from '#shared/decide/config.ts'

export type BreakerState = 'closed' | 'open' | 'halfOpen'

/** One request's leave to pass. The first of the three calls counts, further ones do nothing. */
export interface Permit {
  /** The one request let through to see whether the service is back. */
  readonly isProbe: boolean
  success(): void
  failure(): void
  /** It ended without saying anything about the service. */
  cancel(): void
}

export interface Breaker {
  readonly name: string
  readonly state: BreakerState
  /** null: refuse the request. */
  admit(): Permit | null
  /** Returns the way to stop. */
  onState(listener: (state: BreakerState) => void): () => void
  /** Ends its timers. From then on it admits everything. */
  close(): void
}

const BUCKETS = 10
/** opossum opens above the threshold, the policy says at it; also, 100 % could never be exceeded. */
const JUST_BELOW = 1e-9
type Settle = () => Promise<void>
const succeed: Settle = () => Promise.resolve()
const fail: Settle = () => Promise.reject(new Error('the request failed'))

export function createBreaker(policy: CircuitBreakerPolicy, name: string): Breaker {
  return new OpossumBreaker(policy, name)
}

class OpossumBreaker implements Breaker {
  readonly name: string
  readonly #circuit: CircuitBreaker<[Settle], void>
  readonly #rotation = new EventEmitter()
  readonly #rotationTimer: NodeJS.Timeout
  readonly #listeners = new Set<(state: BreakerState) => void>()
  #state: BreakerState = 'closed'
  /** Counts changes of state: what was admitted in an earlier one says nothing about this one. */
  #epoch = 0
  #isProbeOut = false
  #isClosed = false

  constructor(policy: CircuitBreakerPolicy, name: string) {
    this.name = name
    this.#circuit = new CircuitBreaker((settle: Settle) => settle(), {
      name,
      timeout: false,
      errorThresholdPercentage: policy.errorThresholdPercent - JUST_BELOW,
      volumeThreshold: policy.volumeThreshold,
      rollingCountTimeout: policy.rollingWindowMs,
      rollingCountBuckets: BUCKETS,
      resetTimeout: policy.resetTimeoutMs,
      rollingPercentilesEnabled: false,
      enableSnapshots: false,
      rotateBucketController: this.#rotation,
    })
    this.#rotationTimer = setInterval(() => this.#rotate(), Math.max(1, policy.rollingWindowMs / BUCKETS))
    this.#rotationTimer.unref()
    this.#circuit.on('open', () => this.#enter('open'))
    this.#circuit.on('halfOpen', () => this.#enter('halfOpen'))
    this.#circuit.on('close', () => {
      // Else the failures from before the opening would open it again at the next one.
      for (let i = 0; i < BUCKETS; i++) this.#rotate()
      this.#enter('closed')
    })
    this.#rotate()
  }

  get state(): BreakerState {
    return this.#state
  }

  admit(): Permit | null {
    if (this.#isClosed || this.#state === 'closed') return new BreakerPermit(this, this.#epoch, false)
    if (this.#state === 'open' || this.#isProbeOut) return null
    this.#isProbeOut = true
    return new BreakerPermit(this, this.#epoch, true)
  }

  /** For permits. `settle` is null for what does not count. */
  settle(epoch: number, settle: Settle | null): void {
    if (epoch !== this.#epoch || this.#isClosed) return
    if (settle === null) this.#isProbeOut = false
    else this.#circuit.fire(settle).catch(() => {})
  }

  onState(listener: (state: BreakerState) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  close(): void {
    this.#isClosed = true
    clearInterval(this.#rotationTimer)
    this.#circuit.shutdown()
    this.#listeners.clear()
  }

  #enter(state: BreakerState): void {
    this.#state = state
    this.#epoch++
    this.#isProbeOut = false
    for (const listener of [...this.#listeners]) listener(state)
  }

  /** opossum keeps the latency of every request of the window for percentiles that we turned off: it must not. */
  #rotate(): void {
    this.#rotation.emit('rotate')
    const [newest] = this.#circuit.status.window
    if (newest !== undefined) newest.latencyTimes = new Forgetful()
  }
}

class Forgetful extends Array<number> {
  override push(): number {
    return 0
  }
}

class BreakerPermit implements Permit {
  readonly isProbe: boolean
  readonly #breaker: OpossumBreaker
  readonly #epoch: number
  #isSettled = false

  constructor(breaker: OpossumBreaker, epoch: number, isProbe: boolean) {
    this.#breaker = breaker
    this.#epoch = epoch
    this.isProbe = isProbe
  }

  success(): void {
    this.#settle(succeed)
  }

  failure(): void {
    this.#settle(fail)
  }

  cancel(): void {
    this.#settle(null)
  }

  #settle(settle: Settle | null): void {
    if (this.#isSettled) return
    this.#isSettled = true
    this.#breaker.settle(this.#epoch, settle)
  }
}
