// Tells objects what became of them. Only the replica that holds the Lease writes, only what differs, and to one object at most once
// in ten seconds: a status that changes with every pod would keep the API server and everyone who watches busy.
import type { Clock } from '#shared/clock.ts'
import type { KubeClient } from '#shared/kube/client.ts'
import { isConflict, isNotFound } from '#shared/kube/error.ts'
import type { Leader } from '#shared/kube/leader.ts'
import { HTTP_ROUTES, type KubeKind, MESH_POLICIES, TRAFFIC_POLICIES } from '#shared/kube/objects.ts'
import type { Log } from '#shared/log.ts'
import type { Watch } from '#shared/watch.ts'
import type { Model } from '../model/compile.ts'
import { describeRef } from '../model/status.ts'
import type { MeshCounts } from '../replicas/replicas.ts'
import type { KubeDocument } from '../watch/kubernetes-documents.ts'
import { type WantedStatus, wantedStatuses } from './conditions.ts'
import { statusPatch } from './merge.ts'

export interface StatusWriterOptions {
  readonly client: Pick<KubeClient, 'get' | 'patch'>
  readonly model: Watch<Model | undefined>
  readonly documents: Watch<readonly KubeDocument[]>
  readonly counts: MeshCounts
  readonly leader: Pick<Leader, 'isLeader' | 'isSuccessor'>
  readonly onWrite?: (outcome: WriteOutcome) => void
  readonly clock: Clock
  readonly log: Log
}

/** conflict: somebody else wrote at the same time, and it is tried again. */
export type WriteOutcome = 'written' | 'conflict' | 'failed'

export interface StatusWriter {
  /** Resolves when a write that is under way has ended. */
  close(): Promise<void>
}

const LOOK_MS = 10_000
/** After this an object is asked for again: others can write over a status. */
const DOUBT_MS = 10 * 60_000
const BETWEEN_WRITES_MS = 10_000
/** After a change sidecars get a moment to take it up, so that the first status is also the last. */
const SETTLE_MS = 500
/** Replicas that have not reported an object are waited for, before anything is said of it. */
const REPORT_MS = 3_000
/** Then what was said of the same generation stays; after this what is known is said, as "at least". */
const KEEP_MS = 30_000

const KINDS: Readonly<Record<string, KubeKind>> = {
  HTTPRoute: HTTP_ROUTES,
  TrafficPolicy: TRAFFIC_POLICIES,
  MeshPolicy: MESH_POLICIES,
}

export function startStatusWriter(options: StatusWriterOptions): StatusWriter {
  const { model, leader } = options
  const writer = new Writer(options)
  const stops = [model.subscribe(() => writer.soon(SETTLE_MS)), leader.isLeader.subscribe(() => writer.lead())]
  return {
    async close() {
      for (const stop of stops) stop()
      await writer.close()
    },
  }
}

interface Written {
  readonly text: string
  readonly at: number
}

const NEVER = { at: Number.POSITIVE_INFINITY, cancel: () => {} }

class Writer {
  readonly #options: StatusWriterOptions
  /** By object. What a leader before us wrote is found out by asking. */
  readonly #written = new Map<string, Written>()
  /** Since when a replica's report is missing, by object and generation. */
  readonly #missingSince = new Map<string, number>()
  #ledAt = 0
  #isNew = true
  #isClosed = false
  #running: Promise<void> | null = null
  #isAskedAgain = false
  #due = NEVER

  constructor(options: StatusWriterOptions) {
    this.#options = options
  }

  /** Another may have written since this replica led last. */
  lead(): void {
    this.#written.clear()
    this.#missingSince.clear()
    this.#isNew = true
    this.#ledAt = this.#options.clock.now()
    this.soon(0)
  }

  /** It may have written a moment ago: what was there by then waits its time. */
  #succeed(): void {
    const { leader, documents } = this.#options
    const unknown = { text: '', at: this.#ledAt }
    if (this.#isNew && leader.isSuccessor)
      for (const { ref } of documents.current) this.#written.set(describeRef(ref), unknown)
    this.#isNew = false
  }

  soon(delayMs: number): void {
    const { clock } = this.#options
    const at = clock.now() + delayMs
    if (this.#isClosed || this.#due.at <= at) return
    this.#due.cancel()
    this.#due = { at, cancel: clock.after(delayMs, () => this.#begin()) }
  }

  /** One round at a time; what was asked for during a round is done after it. */
  #begin(): void {
    this.#due = NEVER
    if (this.#running !== null) {
      this.#isAskedAgain = true
      return
    }
    this.#running = this.#round()
      .catch((error: unknown) => this.#options.log.error({ err: error }, 'no status could be written; trying again'))
      .finally(() => {
        this.#running = null
        this.soon(this.#isAskedAgain ? 0 : LOOK_MS)
        this.#isAskedAgain = false
      })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#due.cancel()
    await this.#running
  }

  async #round(): Promise<void> {
    const { model, documents, counts, leader } = this.#options
    if (model.current === undefined || !leader.isLeader.current) return
    this.#succeed()
    const wanted = wantedStatuses(documents.current, model.current.statuses, counts)
    this.#forget(wanted)
    for (const one of wanted) {
      if (this.#isClosed || !leader.isLeader.current) return
      const waitMs = this.#waitFor(one)
      if (waitMs === 0) await this.#write(one)
      else this.soon(waitMs)
    }
  }

  /** Until something may and should be said of the object. */
  #waitFor(wanted: WantedStatus): number {
    const { clock } = this.#options
    if (wanted.missing.length > 0 && this.#missingFor(wanted) < REPORT_MS) return SETTLE_MS
    const before = this.#written.get(describeRef(wanted.object))
    const age = before === undefined ? Number.POSITIVE_INFINITY : clock.now() - before.at
    if (before?.text === JSON.stringify(wanted) && age < DOUBT_MS) return LOOK_MS
    return Math.max(0, BETWEEN_WRITES_MS - age)
  }

  #missingFor(wanted: WantedStatus): number {
    const now = this.#options.clock.now()
    const key = missingKey(wanted)
    const since = this.#missingSince.get(key) ?? now
    this.#missingSince.set(key, since)
    return now - since
  }

  #forget(wanted: readonly WantedStatus[]): void {
    const names = new Set(wanted.map(({ object }) => describeRef(object)))
    for (const name of this.#written.keys()) if (!names.has(name)) this.#written.delete(name)
    const missing = new Set(wanted.filter((one) => one.missing.length > 0).map(missingKey))
    for (const key of this.#missingSince.keys()) if (!missing.has(key)) this.#missingSince.delete(key)
  }

  async #write(wanted: WantedStatus): Promise<void> {
    const { client, clock, onWrite } = this.#options
    const name = describeRef(wanted.object)
    const kind = KINDS[wanted.object.kind]
    if (kind === undefined) return
    try {
      const object = await client.get(kind, wanted.object)
      // What was compiled is an older text of it: the next model says what holds for this one.
      if (object.metadata.generation !== wanted.generation) return
      const now = new Date(clock.wall()).toISOString().replace(/\.\d+Z$/, 'Z')
      const isCountKept = wanted.missing.length > 0 && this.#missingFor(wanted) < KEEP_MS
      const patch = statusPatch(object, wanted, { now, isCountKept })
      if (patch !== undefined) {
        await client.patch(kind, wanted.object, patch, { subresource: 'status' })
        onWrite?.('written')
      }
      // What was kept must be looked at again when it has been kept for long enough.
      this.#written.set(name, { text: isCountKept ? '' : JSON.stringify(wanted), at: clock.now() })
    } catch (error) {
      this.#noteFailure(error, name)
    }
  }

  #noteFailure(error: unknown, name: string): void {
    const { log, onWrite } = this.#options
    if (isNotFound(error)) {
      this.#written.delete(name)
    } else if (isConflict(error)) {
      // Somebody wrote at the same time: the next round looks again.
      onWrite?.('conflict')
      this.soon(SETTLE_MS)
    } else {
      onWrite?.('failed')
      log.warn({ err: error, object: name }, 'a status could not be written; trying again')
    }
  }
}

const missingKey = ({ object, generation }: WantedStatus) => `${describeRef(object)} ${generation}`
