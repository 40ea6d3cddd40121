// The endpoints of one backend, from which each try leases one. The picker is made anew when endpoints or their fitness
// change, so that a pick filters nothing. When nothing is fit, everything is used: a bad try is better than none.

import type { Balancer, Endpoint, EndpointSet, Lease, Outcome, Picker, Pool } from '#flow/upstream.ts'
import type { BackendPolicy } from '#shared/decide/config.ts'
import type { EjectingTracker } from './health.ts'
import { createLeastRequest } from './least-request.ts'
import { createRoundRobin } from './round-robin.ts'
import { type SessionAffinity, withSessionAffinity } from './session-affinity.ts'
import type { Standing } from './standing.ts'

export interface PoolOptions {
  readonly endpoints: EndpointSet
  readonly policy: Pick<BackendPolicy, 'algorithm'>
  /** The pool follows it, feeds it and does not close it. */
  readonly health: EjectingTracker
  /** null: each lease goes where the algorithm says. */
  readonly affinity: SessionAffinity | null
  /** 0 <= random() < 1 */
  readonly random: () => number
}

export interface CountingPool extends Pool {
  /** Leases in flight, for metrics and the admin pages. */
  active(endpoint: Endpoint): number
}

class PoolLease implements Lease {
  readonly endpoint: Endpoint
  readonly #standing: Standing
  readonly #health: EjectingTracker
  #isDone = false

  constructor(endpoint: Endpoint, standing: Standing, health: EjectingTracker) {
    this.endpoint = endpoint
    this.#standing = standing
    this.#health = health
    standing.active++
  }

  done(outcome: Outcome): void {
    if (this.#isDone) return
    this.#isDone = true
    this.#standing.active--
    this.#health.observe(this.endpoint, outcome)
  }
}

export function createPool(options: PoolOptions): CountingPool {
  const { endpoints, health } = options
  // Weak, so that the counts of a removed endpoint last as long as its last lease and then go.
  const standings = new WeakMap<Endpoint, Standing>()
  const standingOf = (endpoint: Endpoint): Standing => {
    let standing = standings.get(endpoint)
    if (standing === undefined) {
      standing = { active: 0 }
      standings.set(endpoint, standing)
    }
    return standing
  }
  const balancer = createBalancer(options, standingOf)
  let picker: Picker | null = null
  const forgetPicker = () => {
    picker = null
  }
  const stops = [endpoints.subscribe(forgetPicker), health.onChange(forgetPicker)]
  return {
    lease(hash, tried) {
      picker ??= balancer(fitOf(endpoints.current, health))
      const endpoint = picker.pick(hash, tried)
      return endpoint && new PoolLease(endpoint, standingOf(endpoint), health)
    },
    active: (endpoint) => standings.get(endpoint)?.active ?? 0,
    close() {
      for (const stop of stops) stop()
    },
  }
}

function createBalancer(options: PoolOptions, standingOf: (endpoint: Endpoint) => Standing): Balancer {
  const { policy, affinity, random } = options
  const spread = policy.algorithm === 'RoundRobin' ? createRoundRobin(random) : createLeastRequest(standingOf, random)
  return affinity === null ? spread : withSessionAffinity(spread, affinity)
}

function fitOf(endpoints: readonly Endpoint[], health: EjectingTracker): readonly Endpoint[] {
  const fit = endpoints.filter((endpoint) => endpoint.weight > 0 && health.isFit(endpoint))
  return fit.length > 0 ? fit : endpoints
}
