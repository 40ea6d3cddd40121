// Joins what several replicas of control have to do with each other: who writes, who reports to whom, and how many they are.
import type { handleClientStreamingCall } from '@grpc/grpc-js'
import type { Clock } from '#shared/clock.ts'
import type { ReplicaReport, ReportEnd } from '#shared/contract/replicas.ts'
import type { SvidIdentity } from '#shared/identity/svid.ts'
import type { KubeClient } from '#shared/kube/client.ts'
import { type Leader, startLeader } from '#shared/kube/leader.ts'
import type { Log } from '#shared/log.ts'
import { type Watch, Watched } from '#shared/watch.ts'
import type { Model } from '../model/compile.ts'
import { describeRef } from '../model/status.ts'
import type { Sidecars } from '../serve/sidecars.ts'
import type { ObjectStanding } from '../serve/standings.ts'
import type { KubeDocument } from '../watch/kubernetes-documents.ts'
import { createDifferences, type Standing } from './differences.ts'
import { createLedger, type LedgerEntry } from './ledger.ts'
import { receiveReports } from './receive.ts'
import { startReporter } from './reporter.ts'

export interface ReplicasOptions {
  readonly client: Pick<KubeClient, 'get' | 'create' | 'replace'>
  readonly model: Watch<Pick<Model, 'slicesOf'> | undefined>
  readonly documents: Watch<readonly KubeDocument[]>
  readonly trustDomain: string
  /** Of Weft: of the Lease, of control's identity and of its Service. */
  readonly systemNamespace: string
  /** "weft-control": who is ready behind it should report. */
  readonly controlService: string
  /** This replica's name, which is its pod's. */
  readonly replica: string
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
}

export interface ReplicasStart {
  readonly sidecars: Pick<Sidecars, 'pods' | 'objects'>
  readonly identity: Watch<SvidIdentity | undefined>
  /** Where others reach this replica; empty: nowhere. */
  readonly address: string
}

/** Over all sidecars of the mesh, on the replica that holds the Lease. */
export interface MeshCounts {
  standings(): readonly ObjectStanding[]
  /** Replicas whose sidecars are not, or not all, counted in an object of this generation. */
  missing(object: string, generation: number): readonly string[]
}

/** Whose sidecars a count is about. */
export type Counted =
  | { readonly scope: 'mesh'; readonly missing: readonly string[] }
  | { readonly scope: 'replica'; readonly replica: string; readonly leader: string | null }

export interface Replicas {
  /** Where other replicas report. */
  readonly Report: handleClientStreamingCall<ReplicaReport, ReportEnd>
  /** Ready ones, as the Service of control has them; 1 at least. */
  count(): number
  start(start: ReplicasStart): RunningReplicas
}

export interface RunningReplicas {
  readonly leader: Leader
  readonly counts: MeshCounts
  /** What is known here: of the whole mesh where this replica holds the Lease. */
  known(): { readonly standings: readonly ObjectStanding[]; readonly counted: Counted }
  close(): Promise<void>
}

export const LEASE = 'weft-control-status'

export function createReplicas(options: ReplicasOptions): Replicas {
  const ledger = createLedger(options.clock)
  const isLeader = new Watched(false)
  return {
    Report: receiveReports({ ...options, ledger, isLeader }),
    count: () => Math.max(1, readyReplicas(options).length),
    start: (start) => new Running(options, start, { ledger, isLeader }),
  }
}

/** By model: asked for each sidecar at each change. */
const ready = new WeakMap<object, readonly string[]>()

/** Names without their namespace. */
function readyReplicas(options: ReplicasOptions): readonly string[] {
  const model = options.model.current
  if (model === undefined) return []
  const names = ready.get(model) ?? findReady(model, options)
  ready.set(model, names)
  return names
}

function findReady(model: Pick<Model, 'slicesOf'>, { systemNamespace, controlService }: ReplicasOptions) {
  const slices = model.slicesOf(`${systemNamespace}/${controlService}`)
  const pods = slices.flatMap(({ endpoints }) =>
    endpoints.flatMap(({ ready, terminating, pod }) => (ready && !terminating && pod !== null ? [pod] : [])),
  )
  return [...new Set(pods.map((pod) => pod.slice(pod.indexOf('/') + 1)))]
}

interface Own {
  readonly ledger: ReturnType<typeof createLedger>
  readonly isLeader: Watched<boolean>
}

class Running implements RunningReplicas {
  readonly leader: Leader
  readonly counts: MeshCounts
  readonly #options: ReplicasOptions
  readonly #start: ReplicasStart
  readonly #own: Own
  readonly #closers: (() => void)[]
  /** Of this replica in its own ledger, while it holds the Lease. */
  #account: { readonly entry: LedgerEntry; readonly differences: ReturnType<typeof createDifferences> } | null = null

  constructor(options: ReplicasOptions, start: ReplicasStart, own: Own) {
    this.#options = options
    this.#start = start
    this.#own = own
    const { replica, systemNamespace: namespace } = options
    const { address, identity } = start
    this.leader = startLeader({ ...options, namespace, name: LEASE, identity: replica, address })
    const { holder } = this.leader
    const stop = this.leader.isLeader.subscribe((isLeader) => this.#lead(isLeader))
    const reporter = startReporter({ ...options, holder, identity, standing: () => this.#standing() })
    this.#closers = [stop, reporter.close, () => this.#lead(false)]
    this.counts = {
      standings: () => this.#standings(),
      missing: (object, generation) => own.ledger.missing(readyReplicas(options), object, generation),
    }
  }

  known(): ReturnType<RunningReplicas['known']> {
    const { isLeader, holder } = this.leader
    const { replica } = this.#options
    if (!isLeader.current) {
      const counted = { scope: 'replica', replica, leader: holder.current?.identity ?? null } as const
      return { standings: this.#start.sidecars.objects(), counted }
    }
    const standings = this.#standings()
    const missing = new Set(
      this.#options.documents.current.flatMap(({ ref, generation }) =>
        this.counts.missing(describeRef(ref), generation),
      ),
    )
    return { standings, counted: { scope: 'mesh', missing: [...missing].sort() } }
  }

  async close(): Promise<void> {
    await this.leader.close()
    for (const closer of this.#closers.splice(0)) closer()
  }

  #lead(isLeader: boolean): void {
    const { ledger, isLeader: told } = this.#own
    // Streams of reports end first: what they leave behind must not linger into another time of leading.
    told.set(isLeader)
    ledger.clear()
    const { replica } = this.#options
    this.#account = isLeader ? { entry: ledger.open(replica), differences: createDifferences(replica) } : null
  }

  #standing(): Standing {
    const { documents } = this.#options
    const compiled = new Map(documents.current.map(({ ref, generation }) => [describeRef(ref), generation]))
    return { sidecars: this.#start.sidecars.pods(), compiled }
  }

  #standings(): readonly ObjectStanding[] {
    const own = this.#account
    if (own !== null) for (const report of own.differences(this.#standing())) own.entry.take(report)
    return this.#own.ledger.standings()
  }
}
