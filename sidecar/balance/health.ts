// Sets an endpoint aside after a run of failures, for a time that doubles with each repeat. What counts as a failure:
// what the endpoint answers with 5xx, and what goes wrong on the way to it; not 4xx, and not a client that left.

import type { FaultCode } from '#flow/error.ts'
import type { Endpoint, HealthTracker, Outcome } from '#flow/upstream.ts'
import type { Clock } from '#shared/clock.ts'

export interface HealthConfig {
  /** 0: never set an endpoint aside. */
  readonly consecutiveFailures: number
  /** The first ejection; default 10 s. */
  readonly baseEjectionMs?: number
  /** No ejection is longer; default 5 min. */
  readonly maxEjectionMs?: number
}

export interface EjectingTracker extends HealthTracker {
  /** Tells each change of fitness. Returns the way to stop. */
  onChange(listener: (endpoint: Endpoint, isFit: boolean) => void): () => void
  /** Ends all timers; what is set aside stays so. */
  close(): void
}

interface Standing {
  failures: number
  isFit: boolean
  /** Ejections in a row; forgotten after as long a time in good standing as the last one lasted. */
  ejections: number
  lastEjectionMs: number
  backAt: number
  cancelReturn: (() => void) | null
}

const ENDPOINT_FAULTS: ReadonlySet<FaultCode> = new Set<FaultCode>([
  'CONNECT_FAILED',
  'CONNECT_TIMEOUT',
  'PEER_IDENTITY',
  'UPSTREAM_CLOSED',
  'UPSTREAM_PROTOCOL',
  'TRY_TIMEOUT',
  'REQUEST_TIMEOUT',
])

/**
 * neither: a client that left before the answer says nothing about the endpoint (not ok, no fault, status 0), and so do
 * faults that are not the endpoint's. A byte stream that was carried is ok with status 0.
 */
export function judge(outcome: Outcome): 'success' | 'failure' | 'neither' {
  if (outcome.fault !== null && ENDPOINT_FAULTS.has(outcome.fault)) return 'failure'
  if (outcome.status >= 500) return 'failure'
  return outcome.ok ? 'success' : 'neither'
}

export function createHealthTracker(config: HealthConfig, clock: Clock): EjectingTracker {
  return new RunTracker(config, clock)
}

class RunTracker implements EjectingTracker {
  readonly #config: Required<HealthConfig>
  readonly #clock: Clock
  readonly #standings = new WeakMap<Endpoint, Standing>()
  readonly #ejected = new Set<Standing>()
  readonly #listeners = new Set<(endpoint: Endpoint, isFit: boolean) => void>()

  constructor(config: HealthConfig, clock: Clock) {
    this.#config = { baseEjectionMs: 10_000, maxEjectionMs: 300_000, ...config }
    this.#clock = clock
  }

  isFit(endpoint: Endpoint): boolean {
    return this.#standings.get(endpoint)?.isFit ?? true
  }

  observe(endpoint: Endpoint, outcome: Outcome): void {
    const verdict = judge(outcome)
    if (verdict === 'neither' || this.#config.consecutiveFailures === 0) return
    let standing = this.#standings.get(endpoint)
    // What was sent before an ejection may still end either way; it changes nothing.
    if (standing?.isFit === false) return
    if (verdict === 'success') {
      if (standing !== undefined) this.#succeed(standing)
      return
    }
    if (standing === undefined) {
      standing = { failures: 0, isFit: true, ejections: 0, lastEjectionMs: 0, backAt: 0, cancelReturn: null }
      this.#standings.set(endpoint, standing)
    }
    if (++standing.failures >= this.#config.consecutiveFailures) this.#eject(endpoint, standing)
  }

  onChange(listener: (endpoint: Endpoint, isFit: boolean) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  close(): void {
    for (const standing of this.#ejected) standing.cancelReturn?.()
    this.#ejected.clear()
    this.#listeners.clear()
  }

  #succeed(standing: Standing): void {
    standing.failures = 0
    if (standing.ejections === 0) return
    if (this.#clock.now() - standing.backAt >= standing.lastEjectionMs) standing.ejections = 0
  }

  #eject(endpoint: Endpoint, standing: Standing): void {
    const { baseEjectionMs, maxEjectionMs } = this.#config
    standing.lastEjectionMs = Math.min(baseEjectionMs * 2 ** standing.ejections, maxEjectionMs)
    standing.ejections++
    standing.cancelReturn = this.#clock.after(standing.lastEjectionMs, () => this.#bringBack(endpoint, standing))
    this.#ejected.add(standing)
    this.#tell(endpoint, standing, false)
  }

  #bringBack(endpoint: Endpoint, standing: Standing): void {
    this.#ejected.delete(standing)
    standing.cancelReturn = null
    standing.backAt = this.#clock.now()
    // On probation: it need not fail a whole run again.
    standing.failures = this.#config.consecutiveFailures - 1
    this.#tell(endpoint, standing, true)
  }

  #tell(endpoint: Endpoint, standing: Standing, isFit: boolean): void {
    standing.isFit = isFit
    for (const listener of [...this.#listeners]) listener(endpoint, isFit)
  }
}
