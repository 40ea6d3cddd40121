// The connections of one endpoint. Invariant: never more waiters than dials under way, so that each waiter is served by
// a connection or failed by a dial; a connection is idle, in use or gone, and only its own callbacks move it.
import type { Duplex } from 'node:stream'
import { Deadlines } from '#flow/deadlines.ts'
import { FlowError } from '#flow/error.ts'
import type { AcquireDone } from '#flow/route.ts'
import type { HttpClientConnection } from '#flow/stream.ts'
import type { Connector, Endpoint } from '#flow/upstream.ts'
import type { Clock } from '#shared/clock.ts'
import { createIdleLimit, type IdleLimit } from './idle-limit.ts'

/** Dials end by their own time limit: when the request that asked is gone, the connection serves the next. */
const NEVER = new AbortController().signal

export interface ConnectionSettings {
  readonly connect: Connector
  readonly open: (stream: Duplex) => HttpClientConnection
  readonly idleMs: number
  readonly maxIdlePerEndpoint: number
  readonly clock: Clock
  readonly counts: { active: number; dialling: number; idle: number; opened: number; reused: number }
}

interface Pooled {
  readonly connection: HttpClientConnection
  /** Connections of an older generation are closed instead of reused. */
  readonly generation: number
  isIdle: boolean
}

interface Waiter {
  readonly done: AcquireDone
}

export class EndpointConnections {
  readonly #endpoint: Endpoint
  readonly #settings: ConnectionSettings
  /** The last one is the one used last. */
  readonly #idle: Pooled[] = []
  readonly #ages: Deadlines<Pooled>
  readonly #limit: IdleLimit
  readonly #waiters = new Set<Waiter>()
  #dialling = 0
  #generation = 0
  #isRetired = false

  constructor(endpoint: Endpoint, settings: ConnectionSettings) {
    this.#endpoint = endpoint
    this.#settings = settings
    this.#limit = createIdleLimit(settings.idleMs, settings.clock)
    this.#ages = new Deadlines(settings.idleMs, settings.clock, (pooled) => this.#discard(pooled))
  }

  acquire(done: AcquireDone): () => void {
    const pooled = this.#takeIdle()
    if (pooled !== undefined) {
      this.#hand(pooled, done, true)
      return () => {}
    }
    const waiter = { done }
    this.#waiters.add(waiter)
    if (this.#dialling < this.#waiters.size) void this.#dial()
    return () => this.#waiters.delete(waiter)
  }

  /** Closes what is idle; what is in use is closed when it becomes idle. */
  renew(): void {
    this.#generation++
    for (const pooled of [...this.#idle]) this.#discard(pooled)
  }

  retire(): void {
    this.#isRetired = true
    this.renew()
    this.#ages.clear()
  }

  #takeIdle(): Pooled | undefined {
    for (;;) {
      const pooled = this.#idle.pop()
      if (pooled === undefined) return undefined
      this.#leaveIdle(pooled)
      if (pooled.connection.isIdle) return pooled
      this.#close(pooled)
    }
  }

  #hand(pooled: Pooled, done: AcquireDone, isReused: boolean): void {
    if (isReused) this.#settings.counts.reused++
    this.#settings.counts.active++
    done(null, pooled.connection, isReused)
    // Not opened during the call: whoever asked no longer wants it.
    if (pooled.connection.isIdle) this.#onIdle(pooled)
  }

  async #dial(): Promise<void> {
    const { settings, generation } = { settings: this.#settings, generation: this.#generation }
    this.#dialling++
    settings.counts.dialling++
    let connection: HttpClientConnection | null = null
    let failure: FlowError | null = null
    try {
      connection = settings.open(await settings.connect(this.#endpoint, NEVER))
      if (!connection.isIdle) throw new FlowError('CONNECT_FAILED', { cause: new Error('closed as soon as opened') })
    } catch (error) {
      failure = error instanceof FlowError ? error : new FlowError('CONNECT_FAILED', { cause: error })
    }
    this.#dialling--
    settings.counts.dialling--
    if (connection !== null && failure === null) this.#onConnected(connection, generation)
    else connection?.destroy()
    if (failure !== null) this.#onDialFailed(failure)
  }

  #onConnected(connection: HttpClientConnection, generation: number): void {
    this.#settings.counts.opened++
    const pooled: Pooled = { connection, generation, isIdle: false }
    connection.onIdle = () => this.#onIdle(pooled)
    connection.onGone = () => this.#onGone(pooled)
    const waiter = this.#nextWaiter()
    // Dialled under an older identity, but nobody else dials for this waiter: it is served, and closed afterwards.
    if (waiter !== undefined) {
      this.#hand(pooled, waiter.done, false)
    } else {
      this.#settings.counts.active++
      this.#onIdle(pooled)
    }
  }

  /** Only the waiter for whom no other dial is under way fails. */
  #onDialFailed(failure: FlowError): void {
    if (this.#waiters.size > this.#dialling) this.#nextWaiter()?.done(failure, null, false)
  }

  #nextWaiter(): Waiter | undefined {
    const [waiter] = this.#waiters
    if (waiter !== undefined) this.#waiters.delete(waiter)
    return waiter
  }

  #onIdle(pooled: Pooled): void {
    const { counts, maxIdlePerEndpoint } = this.#settings
    if (pooled.isIdle || !pooled.connection.isIdle) return
    counts.active--
    const isStale = pooled.generation !== this.#generation
    const waiter = isStale ? undefined : this.#nextWaiter()
    if (waiter !== undefined) {
      this.#hand(pooled, waiter.done, true)
    } else if (isStale || this.#isRetired || this.#idle.length >= maxIdlePerEndpoint) {
      this.#close(pooled)
    } else {
      pooled.isIdle = true
      counts.idle++
      this.#idle.push(pooled)
      this.#ages.start(pooled)
    }
  }

  #onGone(pooled: Pooled): void {
    if (!pooled.isIdle) {
      this.#settings.counts.active--
      return
    }
    const idleForMs = this.#leaveIdle(pooled)
    this.#idle.splice(this.#idle.indexOf(pooled), 1)
    if (this.#limit.observeClose(idleForMs)) this.#ages.lengthMs = this.#limit.idleMs
  }

  /** Returns how long it was idle. */
  #leaveIdle(pooled: Pooled): number {
    pooled.isIdle = false
    this.#settings.counts.idle--
    return this.#ages.stop(pooled) ?? 0
  }

  #discard(pooled: Pooled): void {
    this.#leaveIdle(pooled)
    this.#idle.splice(this.#idle.indexOf(pooled), 1)
    this.#close(pooled)
  }

  #close(pooled: Pooled): void {
    pooled.connection.onIdle = () => {}
    pooled.connection.onGone = () => {}
    pooled.connection.destroy()
  }
}
