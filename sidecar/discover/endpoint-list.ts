// The endpoints of one backend in one family, from full lists and deltas.
import type { Endpoint } from '#flow/upstream.ts'
import type { EndpointDelta, EndpointState } from '#shared/contract/discovery.ts'
import { Watched } from '#shared/watch.ts'
import type { InternedEndpoints } from './interned.ts'

export class EndpointList {
  readonly name: string
  /** Empty until the first list has come. */
  version = ''
  readonly watched = new Watched<readonly Endpoint[]>([])
  readonly #interned: InternedEndpoints
  #states: ReadonlyMap<string, EndpointState> = new Map()

  constructor(name: string, interned: InternedEndpoints) {
    this.name = name
    this.#interned = interned
  }

  /** Throws a TypeError when an endpoint cannot be read; then nothing has changed. */
  replace(version: string, states: Iterable<EndpointState>): void {
    const next = new Map([...states].map((state) => [state.address, state]))
    const taken: Endpoint[] = []
    try {
      for (const state of next.values()) taken.push(this.#interned.take(state))
    } catch (error) {
      for (const endpoint of taken) this.#interned.release(endpoint)
      throw error
    }
    const before = this.watched.current
    this.#states = next
    this.version = version
    // A new version with the same endpoints in the same order tells nobody anything.
    if (taken.length !== before.length || taken.some((endpoint, at) => endpoint !== before[at])) this.watched.set(taken)
    for (const endpoint of before) this.#interned.release(endpoint)
  }

  /** False: the delta is to another version than the one held. */
  change(version: string, delta: EndpointDelta): boolean {
    if (delta.baseVersion !== this.version) return false
    const next = new Map(this.#states)
    for (const address of delta.removals) next.delete(address)
    for (const state of delta.upserts) next.set(state.address, state)
    this.replace(version, next.values())
    return true
  }

  states(): readonly EndpointState[] {
    return [...this.#states.values()]
  }

  release(): void {
    for (const endpoint of this.watched.current) this.#interned.release(endpoint)
  }
}
