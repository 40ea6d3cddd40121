// One address and port that this pod has dialled, and what control said of it.
import type { EndpointSet } from '#flow/upstream.ts'
import { endpointsName, familyOf } from '#shared/contract/discovery.ts'
import type { Range } from '#shared/contract/range.ts'
import type { DestinationConfig } from '#shared/decide/config.ts'
import { type Watch, Watched } from '#shared/watch.ts'

export interface Destination {
  /** "10.96.0.7:8080" or "[fd00::7]:8080" */
  readonly key: string
  /** Reading `current` marks the destination as used. */
  readonly config: Watch<DestinationConfig>
  /** Of the family of the address that was dialled; the same object each time. Empty for a backend that is not of `config`. */
  endpoints(backendKey: string): EndpointSet
  /** Aborted when nobody has used it for long and its subscription is given up: close what was built on it. */
  readonly dropped: AbortSignal
}

/** asked: no answer yet. */
export type Standing = 'asked' | 'ours' | 'not ours'

export class DestinationEntry {
  readonly key: string
  version = ''
  standing: Standing = 'asked'
  /** While not ours: where else that holds; null: for this address and port alone. */
  range: Range | null = null
  destination: Destination | null = null
  /** Set at each use and cleared at each sweep, so that the path need not ask the time. */
  isUsed = true
  lastUsedAt: number
  readonly askedAt: number
  /** Endpoint lists that were ever handed out or needed here: they live as long as this. */
  readonly lists = new Set<string>()
  readonly #waiting = new Set<() => void>()
  readonly #dropped = new AbortController()
  #config: Watched<DestinationConfig> | null = null

  constructor(key: string, now: number) {
    this.key = key
    this.askedAt = now
    this.lastUsedAt = now
  }

  get config(): DestinationConfig | null {
    return this.standing === 'ours' ? (this.#config?.current ?? null) : null
  }

  /** Names of the endpoint lists of the configuration in force. */
  needs(): readonly string[] {
    const { config } = this
    if (config === null) return []
    const family = familyOf(this.key)
    const backends = new Set([config.defaultBackend, ...config.backends.map((backend) => backend.key)])
    return [...backends].map((backend) => endpointsName(backend, family))
  }

  serve(version: string, config: DestinationConfig, listOf: (name: string) => EndpointSet): void {
    this.version = version
    this.standing = 'ours'
    this.range = null
    if (this.#config === null) {
      this.#config = new Watched(config)
      this.destination = this.#createDestination(this.#config, listOf)
    } else {
      this.#config.set(config)
    }
    for (const name of this.needs()) this.lists.add(name)
    this.#answer()
  }

  refuse(version: string, range: Range | null): void {
    this.version = version
    this.standing = 'not ours'
    this.range = range
    this.#answer()
  }

  /** Calls back at the first answer. Returns the way to stop waiting. */
  onAnswer(run: () => void): () => void {
    this.#waiting.add(run)
    return () => this.#waiting.delete(run)
  }

  drop(): void {
    this.#dropped.abort()
    this.#answer()
  }

  #answer(): void {
    for (const run of [...this.#waiting]) run()
    this.#waiting.clear()
  }

  #createDestination(config: Watched<DestinationConfig>, listOf: (name: string) => EndpointSet): Destination {
    const family = familyOf(this.key)
    const marked = <T>(watch: Watch<T>): Watch<T> => {
      const entry = this
      return {
        get current() {
          entry.isUsed = true
          return watch.current
        },
        subscribe: (listener) => watch.subscribe(listener),
      }
    }
    const sets = new Map<string, EndpointSet>()
    return {
      key: this.key,
      config: marked(config),
      dropped: this.#dropped.signal,
      endpoints: (backendKey) => {
        const name = endpointsName(backendKey, family)
        const set = sets.get(name) ?? marked(listOf(name))
        sets.set(name, set)
        this.lists.add(name)
        return set
      },
    }
  }
}
