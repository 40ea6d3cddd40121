// Everything this sidecar has been told and has in force. No I/O: updates come in, reports go out.
import type { EndpointSet } from '#flow/upstream.ts'
import { type Address, formatAddress, parseAddress } from '#shared/address.ts'
import type { Clock } from '#shared/clock.ts'
import type { Applied, Held, Resource } from '#shared/contract/discovery.ts'
import { parseRange } from '#shared/contract/range.ts'
import type { DestinationConfig, WorkloadConfig } from '#shared/decide/config.ts'
import { Watched } from '#shared/watch.ts'
import { readDestination, readWorkload } from './check.ts'
import { type Destination, DestinationEntry } from './destination.ts'
import { EndpointList } from './endpoint-list.ts'
import { createInternedEndpoints } from './interned.ts'

export interface StateOptions {
  readonly pod: string
  readonly maxDestinations: number
  /** Throws: the configuration is refused and the one before stays in force. */
  readonly validate: (config: DestinationConfig | WorkloadConfig) => void
  readonly clock: Clock
}

export interface ApplyResult {
  readonly applied: readonly Applied[]
  /** What must be asked for from the start, since a difference to it has come that does not fit. */
  readonly missing: readonly Held[]
}

export class DiscoveryState {
  readonly workload = new Watched<WorkloadConfig | undefined>(undefined)
  workloadVersion = ''
  readonly entries = new Map<string, DestinationEntry>()
  readonly lists = new Map<string, EndpointList>()
  readonly #interned = createInternedEndpoints()
  readonly #options: StateOptions
  /** Of `entries`, those whose answer holds for a whole range. */
  #ranges: readonly DestinationEntry[] = []

  constructor(options: StateOptions) {
    this.#options = options
  }

  /** undefined: no answer yet. */
  known(address: Address): Destination | null | undefined {
    const entry = this.entries.get(formatAddress(address)) ?? this.#rangeOf(address.host)
    if (entry === undefined) return undefined
    entry.isUsed = true
    if (entry.standing === 'asked') return undefined
    return entry.standing === 'ours' ? entry.destination : null
  }

  /** The entry of a destination, made if need be; undefined when there are too many and all are of the mesh. */
  ask(address: Address): { readonly entry: DestinationEntry; readonly evicted: DestinationEntry | null } | undefined {
    const key = formatAddress(address)
    const known = this.entries.get(key)
    if (known !== undefined) return { entry: known, evicted: null }
    const evicted = this.entries.size >= this.#options.maxDestinations ? this.#leastUseful() : null
    if (evicted === undefined) return undefined
    if (evicted !== null) this.drop(evicted)
    const entry = new DestinationEntry(key, this.#options.clock.now())
    this.entries.set(key, entry)
    return { entry, evicted }
  }

  /** Takes up what a snapshot says; what is unfit is reported and left out. */
  restore(resources: readonly Resource[]): readonly Applied[] {
    for (const { type, name } of resources) {
      if (type === 'DESTINATION' && isAddress(name)) this.ask(parseAddress(name))
    }
    const { applied } = this.apply(resources)
    for (const entry of this.entries.values()) if (entry.standing === 'asked') this.drop(entry)
    return applied
  }

  drop(entry: DestinationEntry): void {
    this.entries.delete(entry.key)
    entry.drop()
    this.#findRanges()
  }

  /** What a new stream must be told to bring only the differences. */
  held(): readonly Held[] {
    const lists = new Set([...this.entries.values()].flatMap((entry) => entry.needs()))
    return [
      { type: 'WORKLOAD', name: this.#options.pod, version: this.workloadVersion },
      ...[...this.entries.values()].map(({ key, version }) => ({ type: 'DESTINATION' as const, name: key, version })),
      ...[...lists].map((name) => ({
        type: 'ENDPOINTS' as const,
        name,
        version: this.lists.get(name)?.version ?? '',
      })),
    ]
  }

  apply(resources: readonly Resource[]): ApplyResult {
    const applied: Applied[] = []
    const missing = new Map<string, Held>()
    const miss = (name: string) => missing.set(name, { type: 'ENDPOINTS', name, version: '' })
    for (const resource of resources) {
      const { type, name, version } = resource
      try {
        if (this.#applyOne(resource)) applied.push({ type, name, version, error: '' })
        else miss(name)
      } catch (error) {
        applied.push({ type, name, version, error: error instanceof Error ? error.message : String(error) })
      }
    }
    for (const resource of resources) {
      for (const name of this.entries.get(resource.name)?.needs() ?? []) {
        if (this.listOf(name).version === '') miss(name)
      }
    }
    return { applied, missing: [...missing.values()] }
  }

  listOf(name: string): EndpointList {
    const known = this.lists.get(name)
    if (known !== undefined) return known
    const list = new EndpointList(name, this.#interned)
    this.lists.set(name, list)
    return list
  }

  /** Forgets lists that no destination uses any more. */
  sweepLists(): void {
    const used = new Set([...this.entries.values()].flatMap((entry) => [...entry.lists]))
    for (const [name, list] of this.lists) {
      if (used.has(name)) continue
      list.release()
      this.lists.delete(name)
    }
  }

  /** False: a delta to another version than the one held. Throws what makes it unfit. */
  #applyOne(resource: Resource): boolean {
    const { type, name, version } = resource
    if (type === 'ENDPOINTS') {
      if (resource.delta !== undefined) return this.listOf(name).change(version, resource.delta)
      this.listOf(name).replace(version, resource.endpoints?.endpoints ?? [])
    } else if (type === 'WORKLOAD') {
      this.#applyWorkload(version, resource.configuration ?? '')
    } else if (type === 'DESTINATION') {
      this.#applyDestination(resource)
    } else {
      throw new TypeError(`a resource of type ${String(type)} is not known here`)
    }
    return true
  }

  #applyWorkload(version: string, configuration: string): void {
    const config = readWorkload(configuration)
    this.#options.validate(config)
    this.workloadVersion = version
    this.workload.set(config)
  }

  #applyDestination({ name, version, notOurs, configuration }: Resource): void {
    const entry = this.entries.get(name)
    // Given up while the answer was on its way.
    if (entry === undefined) return
    if (notOurs !== undefined) {
      entry.refuse(version, notOurs.cidr === '' ? null : parseRange(notOurs.cidr))
    } else {
      const config = readDestination(configuration ?? '')
      this.#options.validate(config)
      entry.serve(version, config, (list): EndpointSet => this.listOf(list).watched)
    }
    this.#findRanges()
  }

  #findRanges(): void {
    this.#ranges = [...this.entries.values()].filter((entry) => entry.range !== null)
  }

  #rangeOf(host: string): DestinationEntry | undefined {
    return this.#ranges.find((entry) => entry.range?.contains(host))
  }

  /** The longest unused of those that nothing is built on: a port scan must not push out a service. */
  #leastUseful(): DestinationEntry | undefined {
    let found: DestinationEntry | undefined
    for (const entry of this.entries.values()) {
      if (entry.destination !== null || entry.range !== null) continue
      if (found === undefined || entry.lastUsedAt < found.lastUsedAt) found = entry
    }
    return found
  }
}

function isAddress(text: string): boolean {
  try {
    return formatAddress(parseAddress(text)) === text
  } catch {
    return false
  }
}
