// The HTTP/2 connections to one endpoint: one that all requests share, and further ones while it is nearly full or long bodies pass on
// it. Invariants: at most one dial is under way; a connection is in the list while it takes requests, and once out of it only ends what it carries.
import type { Duplex } from 'node:stream'
import { Deadlines } from '#flow/deadlines.ts'
import { FlowError } from '#flow/error.ts'
import type { AcquireDone } from '#flow/route.ts'
import type { SharedClientConnection } from '#flow/stream.ts'
import type { Endpoint } from '#flow/upstream.ts'
import type { Clock } from '#shared/clock.ts'

/** Dials end by their own time limit: when the request that asked is gone, the connection serves the next. */
const NEVER = new AbortController().signal
/** From this share of the streams that an endpoint allows on, a further connection is made ready. */
const NEARLY_FULL = 0.8
/** After a dial that failed no further one is tried for so long, as long as requests have a connection without it. */
const SPARE_DIAL_MS = 1000

export interface Dialled {
  readonly stream: Duplex
  /** From then on the endpoint's identity is no longer proven; absent: never. */
  readonly expiresAt?: Date
}

export interface SharedSettings {
  readonly connect: (endpoint: Endpoint, signal: AbortSignal, timeoutMs: number) => Promise<Dialled>
  readonly open: (stream: Duplex) => SharedClientConnection
  readonly idleMs: number
  /** How long a connection takes requests, chosen anew for each; Infinity: for ever. */
  readonly lifetimeMs: () => number
  /** Up to so many connections, requests get one on which no long body passes. Default 1: they share it with bodies. */
  readonly mostForBulk?: number
  readonly clock: Clock
  readonly counts: SharedCounts
}

export interface SharedCounts {
  connections: number
  dialling: number
  /** Since the start. */
  opened: number
}

interface Shared {
  readonly connection: SharedClientConnection
  isUsed: boolean
  cancelAge: () => void
}

export class SharedConnections {
  readonly #endpoint: Endpoint
  readonly #settings: SharedSettings
  /** The ones that take requests, the oldest first. */
  readonly #open: Shared[] = []
  readonly #idle: Deadlines<Shared>
  readonly #waiters = new Set<{ readonly done: AcquireDone }>()
  #isDialling = false
  #failedAt = Number.NEGATIVE_INFINITY
  #generation = 0
  #isRetired = false

  constructor(endpoint: Endpoint, settings: SharedSettings) {
    this.#endpoint = endpoint
    this.#settings = settings
    this.#idle = new Deadlines(settings.idleMs, settings.clock, (shared) => this.#leave(shared))
  }

  acquire(done: AcquireDone, timeoutMs: number): () => void {
    const shared = this.#pick()
    if (shared !== undefined) {
      const isBeside = shared.connection.bulk > 0
      this.#hand(shared, done)
      if (this.#isNearlyFull() || (isBeside && this.#maySpare())) void this.#dial(timeoutMs)
      return () => {}
    }
    const waiter = { done }
    this.#waiters.add(waiter)
    void this.#dial(timeoutMs)
    return () => this.#waiters.delete(waiter)
  }

  /** Every request from now on finds a connection made since. */
  renew(): void {
    this.#generation++
    for (const shared of [...this.#open]) this.#leave(shared)
  }

  /** The endpoint is gone: what is in flight ends, nothing is kept. */
  retire(): void {
    this.#isRetired = true
    this.renew()
  }

  get active(): number {
    return this.#open.reduce((sum, { connection }) => sum + connection.active, 0)
  }

  /**
   * The oldest with room, so that further ones grow idle and end when they are not needed; where long bodies pass on all, the one
   * with the fewest.
   */
  #pick(): Shared | undefined {
    let best: Shared | undefined
    let least = Number.POSITIVE_INFINITY
    for (let i = 0; i < this.#open.length; ) {
      const shared = this.#open[i] as Shared
      const { capacity, bulk, isLeaving } = shared.connection
      if (isLeaving) {
        this.#leave(shared)
        continue
      }
      i++
      if (capacity === 0 || bulk >= least) continue
      if (bulk === 0) return shared
      best = shared
      least = bulk
    }
    return best
  }

  /** Whether a further connection may be made though there is room. */
  #maySpare(): boolean {
    const { mostForBulk = 1, clock } = this.#settings
    return this.#open.length < mostForBulk && clock.now() - this.#failedAt >= SPARE_DIAL_MS
  }

  #isNearlyFull(): boolean {
    return this.#open.every(
      ({ connection }) => connection.active >= (connection.active + connection.capacity) * NEARLY_FULL,
    )
  }

  #hand(shared: Shared, done: AcquireDone): void {
    const isReused = shared.isUsed
    shared.isUsed = true
    this.#idle.stop(shared)
    done(null, shared.connection, isReused)
    // Not opened during the call: whoever asked no longer wants it.
    if (shared.connection.active === 0) this.#onIdle(shared)
  }

  async #dial(timeoutMs: number): Promise<void> {
    if (this.#isDialling) return
    const { settings, generation } = { settings: this.#settings, generation: this.#generation }
    this.#isDialling = true
    settings.counts.dialling++
    let failure: FlowError | null = null
    let shared: Shared | null = null
    try {
      shared = this.#begin(await settings.connect(this.#endpoint, NEVER, timeoutMs))
    } catch (error) {
      failure = error instanceof FlowError ? error : new FlowError('CONNECT_FAILED', { cause: error })
    }
    this.#isDialling = false
    settings.counts.dialling--
    if (shared === null) {
      this.#failedAt = settings.clock.now()
      return this.#failWaiters(failure as FlowError)
    }
    if (shared.connection.capacity === 0) {
      this.#failWaiters(new FlowError('CONNECT_FAILED', { cause: new Error('a connection that takes no request') }))
    }
    this.#serveWaiters(timeoutMs)
    // Dialled under an older identity, but nobody else dialled for these waiters: they are served, and no others.
    if (generation !== this.#generation || this.#isRetired) this.#leave(shared)
  }

  #begin({ stream, expiresAt }: Dialled): Shared {
    const { open, clock, lifetimeMs, counts } = this.#settings
    const connection = open(stream)
    const validMs = expiresAt === undefined ? Number.POSITIVE_INFINITY : expiresAt.getTime() - clock.wall()
    const shared: Shared = { connection, isUsed: false, cancelAge: () => {} }
    const ageMs = Math.max(0, Math.min(validMs, lifetimeMs()))
    if (Number.isFinite(ageMs)) shared.cancelAge = clock.after(ageMs, () => this.#leave(shared))
    counts.opened++
    counts.connections++
    connection.onIdle = () => this.#onIdle(shared)
    connection.onCapacity = () => this.#onCapacity()
    connection.onLeaving = () => this.#forget(shared)
    connection.onGone = () => this.#onGone(shared)
    this.#open.push(shared)
    this.#idle.start(shared)
    return shared
  }

  #serveWaiters(timeoutMs: number): void {
    for (const waiter of this.#waiters) {
      const shared = this.#pick()
      if (shared === undefined) return void this.#dial(timeoutMs)
      this.#waiters.delete(waiter)
      this.#hand(shared, waiter.done)
    }
  }

  #failWaiters(failure: FlowError): void {
    const failed = [...this.#waiters]
    this.#waiters.clear()
    for (const { done } of failed) done(failure, null, false)
  }

  #onCapacity(): void {
    for (const waiter of this.#waiters) {
      const shared = this.#pick()
      if (shared === undefined) return
      this.#waiters.delete(waiter)
      this.#hand(shared, waiter.done)
    }
  }

  #onIdle(shared: Shared): void {
    if (this.#open.includes(shared)) this.#idle.start(shared)
    else shared.connection.drain()
  }

  /** It takes no further request, and ends when it carries none. */
  #leave(shared: Shared): void {
    this.#forget(shared)
    shared.connection.drain()
  }

  #onGone(shared: Shared): void {
    this.#forget(shared)
    this.#settings.counts.connections--
  }

  #forget(shared: Shared): void {
    const at = this.#open.indexOf(shared)
    if (at >= 0) this.#open.splice(at, 1)
    this.#idle.stop(shared)
    shared.cancelAge()
  }
}
