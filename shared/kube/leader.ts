// Which of several replicas writes: the one that holds a Lease. Another's lease counts as over when it has not changed for its
// own duration as measured here, so that clocks of two machines need not agree.
import type { Clock } from '#shared/clock.ts'
import type { Log } from '#shared/log.ts'
import { type Watch, Watched } from '#shared/watch.ts'
import type { KubeClient } from './client.ts'
import { isConflict, isNotFound } from './error.ts'
import { createOwners, type OwnerReference, type Owners } from './installation.ts'
import { type KubeObject, LEASES, type ObjectName } from './objects.ts'

export interface LeaderOptions {
  readonly client: Pick<KubeClient, 'get' | 'create' | 'replace'>
  readonly namespace: string
  /** Of the Lease. */
  readonly name: string
  /** Of this replica: its pod's name. */
  readonly identity: string
  /** Where other replicas reach this one while it holds the lease, "10.0.0.7:15010"; empty: nowhere. */
  readonly address?: string
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
}

export interface Leader {
  /** Turns false before another may turn true. */
  readonly isLeader: Watch<boolean>
  /** As last seen, this replica too; null: nobody. */
  readonly holder: Watch<LeaseHolder | null>
  /** Whether there was a lease before this replica took it, so that somebody, or an earlier run of it, may have led a moment ago. */
  readonly isSuccessor: boolean
  /** Gives the lease back, so that another need not wait for its end, and from then on only looks who holds it. */
  resign(): Promise<void>
  /** Resigns and looks no more. */
  close(): Promise<void>
}

export interface LeaseHolder {
  readonly identity: string
  /** Empty: it does not say. */
  readonly address: string
}

interface LeaseSpec {
  readonly holderIdentity?: string | null
  readonly leaseDurationSeconds?: number
  readonly acquireTime?: string
  readonly renewTime?: string
  readonly leaseTransitions?: number
}

/** On the lease itself: who may write that is believed, and every candidate reads it anyway. */
const ADDRESS = 'weft.dev/address'
const DURATION_SECONDS = 15
/** Who could not renew for this long lets go, before others may take over. */
const RENEW_DEADLINE_MS = 10_000
const RETRY_MS = 2_000

export function startLeader(options: LeaderOptions): Leader {
  const candidate = new Candidate(options)
  candidate.start()
  return candidate
}

class Candidate implements Leader {
  readonly isLeader = new Watched(false)
  readonly holder = new Watched<LeaseHolder | null>(null)
  isSuccessor = false
  readonly #options: LeaderOptions
  readonly #owners: Owners
  #cancel = () => {}
  #cancelDeadline = () => {}
  #isClosed = false
  #hasResigned = false
  #running: Promise<void> = Promise.resolve()
  /** The lease as last seen to change, and when that was here. */
  #seen = { version: '', at: 0 }

  constructor(options: LeaderOptions) {
    this.#options = options
    this.#owners = createOwners(options.client)
  }

  start(): void {
    this.#running = this.#try().finally(() => {
      if (this.#isClosed) return
      const { clock, random } = this.#options
      this.#cancel = clock.after(RETRY_MS * (1 + random() / 5), () => this.start())
    })
  }

  async resign(): Promise<void> {
    this.#hasResigned = true
    await this.#running
    this.#cancelDeadline()
    if (!this.isLeader.current) return
    this.#stepDown()
    await this.#release().catch((error: unknown) =>
      this.#options.log.warn({ err: error }, 'could not give the lease back'),
    )
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#cancel()
    await this.resign()
  }

  async #try(): Promise<void> {
    const startedAt = this.#options.clock.now()
    try {
      const isHeld = await this.#takeOrRenew()
      if (isHeld) this.#hold(startedAt)
      else this.#letGo('another replica holds the lease')
    } catch (error) {
      // Until its deadline a leader that cannot reach the API server stays one: nobody else can take over yet.
      if (!isConflict(error)) this.#options.log.warn({ err: error }, 'the lease could not be asked for; trying again')
    }
  }

  /** The deadline counts from before the request: the server may have written at its very start. */
  #hold(since: number): void {
    const { clock, log, identity, address = '' } = this.#options
    this.#cancelDeadline()
    const leftMs = RENEW_DEADLINE_MS - (clock.now() - since)
    this.#cancelDeadline = clock.after(leftMs, () => this.#letGo('the lease could not be renewed'))
    if (!this.isLeader.current) log.info('this replica writes status from now on')
    this.#see({ identity, address })
    this.isLeader.set(true)
  }

  #letGo(why: string): void {
    this.#cancelDeadline()
    if (this.isLeader.current) this.#options.log.warn({ why }, 'this replica no longer writes status')
    this.#stepDown()
  }

  #stepDown(): void {
    this.isLeader.set(false)
    if (this.holder.current?.identity === this.#options.identity) this.holder.set(null)
  }

  async #takeOrRenew(): Promise<boolean> {
    const { client, identity } = this.#options
    const lease = await client.get(LEASES, this.#name()).catch((error: unknown) => {
      if (isNotFound(error)) return null
      throw error
    })
    if (lease === null) {
      if (this.#hasResigned) return false
      await client.create(LEASES, this.#leaseWith(null, this.#specAfter({}), await this.#owners()))
      return true
    }
    const spec = (lease['spec'] ?? {}) as LeaseSpec
    if (!this.#mayTake(lease, spec)) {
      this.#see({ identity: spec.holderIdentity ?? '', address: lease.metadata.annotations?.[ADDRESS] ?? '' })
      return false
    }
    const owners = spec.holderIdentity === identity ? undefined : await this.#owners()
    await client.replace(LEASES, this.#leaseWith(lease, this.#specAfter(spec), owners))
    if (!this.isLeader.current) this.isSuccessor = true
    return true
  }

  #see(next: LeaseHolder): void {
    const { current } = this.holder
    const isSame = current?.identity === next.identity && current.address === next.address
    if (!isSame) this.holder.set(next.identity === '' ? null : next)
  }

  #mayTake(lease: KubeObject, spec: LeaseSpec): boolean {
    const { clock, identity } = this.#options
    const version = lease.metadata.resourceVersion ?? ''
    if (version !== this.#seen.version) this.#seen = { version, at: clock.now() }
    if (this.#hasResigned) return false
    if (!spec.holderIdentity || spec.holderIdentity === identity) return true
    return clock.now() - this.#seen.at >= (spec.leaseDurationSeconds ?? DURATION_SECONDS) * 1000
  }

  #specAfter(before: LeaseSpec): LeaseSpec {
    const { identity, clock } = this.#options
    const now = microTime(clock.wall())
    const isSame = before.holderIdentity === identity
    return {
      holderIdentity: identity,
      leaseDurationSeconds: DURATION_SECONDS,
      acquireTime: isSame ? (before.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: (before.leaseTransitions ?? 0) + (isSame ? 0 : 1),
    }
  }

  /** null: there is none yet. A replacement without its owners would lose them. */
  #leaseWith(lease: KubeObject | null, spec: object, owners?: readonly OwnerReference[]): KubeObject {
    const resourceVersion = lease?.metadata.resourceVersion
    const annotations = { ...lease?.metadata.annotations, [ADDRESS]: this.#options.address ?? '' }
    const ownerReferences = owners ?? lease?.metadata.ownerReferences ?? []
    const version = resourceVersion !== undefined && { resourceVersion }
    return { metadata: { ...this.#name(), annotations, ownerReferences, ...version }, spec }
  }

  async #release(): Promise<void> {
    const { client, identity } = this.#options
    const lease = await client.get(LEASES, this.#name())
    const spec = (lease['spec'] ?? {}) as LeaseSpec
    if (spec.holderIdentity !== identity) return
    await client.replace(LEASES, this.#leaseWith(lease, { ...spec, holderIdentity: '', leaseDurationSeconds: 1 }))
  }

  #name(): ObjectName & { readonly namespace: string } {
    return { namespace: this.#options.namespace, name: this.#options.name }
  }
}

/** metav1.MicroTime */
const microTime = (wallMs: number) => new Date(wallMs).toISOString().replace(/(\.\d{3})Z$/, '$1000Z')
