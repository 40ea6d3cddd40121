// Discovery as the sidecar sees it: asks control for what is used and turns the answers into Watches. docs/discovery.md.
import type { IdentitySource } from '#flow/identity.ts'
import type { Address } from '#shared/address.ts'
import type { Clock } from '#shared/clock.ts'
import type { Resource } from '#shared/contract/discovery.ts'
import type { DestinationConfig, WorkloadConfig } from '#shared/decide/config.ts'
import type { SpiffeId } from '#shared/identity/spiffe-id.ts'
import type { Log } from '#shared/log.ts'
import type { Watch } from '#shared/watch.ts'
import { Connection } from './connection.ts'
import type { Destination, DestinationEntry } from './destination.ts'
import { createSnapshotWriter, readSnapshot, type SnapshotWriter, snapshotOf } from './snapshot.ts'
import { DiscoveryState } from './state.ts'

export interface Discovery {
  readonly workload: Watch<WorkloadConfig | undefined>
  /** What is already known, synchronously: the hot path. null: known to be not ours. undefined: no answer yet. Marks it as used. */
  known(address: Address): Destination | null | undefined
  /** Subscribes at first sight and waits at most firstSightMs, once; null: not ours, or no answer in time (it stays subscribed). */
  find(address: Address): Promise<Destination | null>
  readonly isConnected: Watch<boolean>
  /** For the admin page: JSON-safe. */
  dump(): unknown
  /** Ends the stream and writes the snapshot; what is known stays readable. */
  close(): Promise<void>
}

export interface DiscoveryOptions {
  /** "10.77.0.1:15010" or "[fd77::1]:15010" */
  readonly controlAddress: string
  readonly controlId: SpiffeId
  readonly identity: IdentitySource
  readonly pod: string
  readonly addresses: readonly string[]
  /** null: none is kept. */
  readonly snapshotFile: string | null
  /** Throws: the configuration is refused with that text and the one before stays in force. */
  readonly validate?: (config: DestinationConfig | WorkloadConfig) => void
  readonly log: Log
  readonly clock: Clock
  readonly random: () => number
  readonly software?: string
  readonly limits?: Partial<DiscoveryLimits>
}

export interface DiscoveryLimits {
  readonly firstSightMs: number
  /** A destination that nobody used for this long is given up, while control is there. */
  readonly idleMs: number
  readonly spreadMs: number
  readonly maxDestinations: number
}

const LIMITS: DiscoveryLimits = { firstSightMs: 1_000, idleMs: 600_000, spreadMs: 10_000, maxDestinations: 2_048 }
const SWEEPS_PER_IDLE_TIME = 10

export function createDiscovery(options: DiscoveryOptions): Discovery {
  return new DiscoveryClient(options)
}

class DiscoveryClient implements Discovery {
  readonly #options: DiscoveryOptions
  readonly #limits: DiscoveryLimits
  readonly #state: DiscoveryState
  readonly #snapshot: SnapshotWriter | null
  readonly #connection: Connection
  #cancelSweep: () => void = () => undefined

  constructor(options: DiscoveryOptions) {
    const { pod, clock, log, snapshotFile, addresses, software = 'weft' } = options
    this.#options = options
    this.#limits = { ...LIMITS, ...options.limits }
    const { spreadMs, maxDestinations } = this.#limits
    this.#state = new DiscoveryState({ pod, clock, maxDestinations, validate: options.validate ?? (() => undefined) })
    if (snapshotFile !== null) this.#restore(readSnapshot(snapshotFile, pod, log))
    const take = () => snapshotOf(this.#state, pod)
    this.#snapshot = snapshotFile === null ? null : createSnapshotWriter(snapshotFile, take, clock, log)
    this.#scheduleSweep()
    this.#connection = new Connection({
      ...options,
      spreadMs,
      hello: { pod, software, addresses },
      onWelcome: () => this.#connection.send({ subscribe: { resources: this.#state.held() } }),
      onUpdate: (resources) => this.#update(resources),
    })
  }

  get workload(): Watch<WorkloadConfig | undefined> {
    return this.#state.workload
  }

  get isConnected(): Watch<boolean> {
    return this.#connection.isConnected
  }

  known(address: Address): Destination | null | undefined {
    return this.#state.known(address)
  }

  async find(address: Address): Promise<Destination | null> {
    const known = this.known(address)
    if (known !== undefined) return known
    const entry = this.#subscribe(address)
    if (entry === undefined) return null
    const { clock } = this.#options
    const leftMs = entry.askedAt + this.#limits.firstSightMs - clock.now()
    // The first sight is over: whoever comes after it and before the answer does not wait again.
    if (leftMs <= 0) return null
    await new Promise<void>((resolve) => {
      const cancel = clock.after(leftMs, () => {
        stop()
        resolve()
      })
      const stop = entry.onAnswer(() => {
        cancel()
        resolve()
      })
    })
    return entry.standing === 'ours' ? entry.destination : null
  }

  dump(): unknown {
    const { entries, lists, workload, workloadVersion } = this.#state
    return {
      isConnected: this.isConnected.current,
      workload: { version: workloadVersion, config: workload.current ?? null },
      destinations: [...entries.values()].map(({ key, version, standing, range, config }) => ({
        key,
        version,
        standing,
        range: range?.text ?? null,
        config,
      })),
      endpoints: [...lists.values()].map((list) => ({
        name: list.name,
        version: list.version,
        endpoints: list.states(),
      })),
    }
  }

  async close(): Promise<void> {
    this.#cancelSweep()
    this.#connection.close()
    await this.#snapshot?.close()
  }

  #subscribe(address: Address): DestinationEntry | undefined {
    const asked = this.#state.ask(address)
    if (asked === undefined) return undefined
    const { entry, evicted } = asked
    if (evicted !== null) this.#unsubscribe(evicted)
    if (entry.version === '') {
      this.#connection.send({ subscribe: { resources: [{ type: 'DESTINATION', name: entry.key, version: '' }] } })
      this.#connection.hurry()
    }
    return entry
  }

  #unsubscribe(entry: DestinationEntry): void {
    const resources = [{ type: 'DESTINATION' as const, name: entry.key, version: entry.version }]
    this.#connection.send({ unsubscribe: { resources } })
  }

  #update(resources: readonly Resource[]): void {
    const { applied, missing } = this.#state.apply(resources)
    for (const { type, name, error } of applied) {
      if (error !== '') this.#options.log.error({ type, resource: name, reason: error }, 'refused what control sent')
    }
    this.#connection.send({ report: { applied } })
    if (missing.length > 0) this.#connection.send({ subscribe: { resources: missing } })
    this.#snapshot?.touch()
  }

  #restore(resources: readonly Resource[]): void {
    const refused = this.#state.restore(resources).filter(({ error }) => error !== '')
    for (const { name, error } of refused) {
      this.#options.log.warn({ resource: name, reason: error }, 'left out a part of the snapshot')
    }
  }

  #scheduleSweep(): void {
    this.#cancelSweep = this.#options.clock.after(this.#limits.idleMs / SWEEPS_PER_IDLE_TIME, () => {
      this.#sweep()
      this.#scheduleSweep()
    })
  }

  /** While control is away nothing is given up: it could not be had again. */
  #sweep(): void {
    const now = this.#options.clock.now()
    for (const entry of this.#state.entries.values()) {
      if (entry.isUsed || !this.isConnected.current) entry.lastUsedAt = now
      entry.isUsed = false
      if (now - entry.lastUsedAt < this.#limits.idleMs) continue
      this.#unsubscribe(entry)
      this.#state.drop(entry)
      this.#snapshot?.touch()
    }
    this.#state.sweepLists()
  }
}
