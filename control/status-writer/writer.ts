// Tells objects what became of them. Only the replica that holds the Lease writes, only what differs, and to one object at most once
// in ten seconds: a status that changes with every pod would keep the API server and everyone who watches busy.
import type { Clock } from '#shared/clock.ts'
import type { KubeClient } from '#shared/kube/client.ts'
import { isConflict, isNotFound } from '#shared/kube/error.ts'
import { startLeader } from '#shared/kube/leader.ts'
import { HTTP_ROUTES, type KubeKind, MESH_POLICIES, TRAFFIC_POLICIES } from '#shared/kube/objects.ts'
import type { Log } from '#shared/log.ts'
import type { Watch } from '#shared/watch.ts'
import type { Model } from '../model/compile.ts'
import { describeRef } from '../model/status.ts'
import type { Sidecars } from '../serve/sidecars.ts'
import type { KubeDocument } from '../watch/kubernetes-documents.ts'
import { type WantedStatus, wantedStatuses } from './conditions.ts'
import { statusPatch } from './merge.ts'

export interface StatusWriterOptions {
  readonly client: Pick<KubeClient, 'get' | 'create' | 'replace' | 'patch'>
  readonly model: Watch<Model | undefined>
  readonly documents: Watch<readonly KubeDocument[]>
  readonly sidecars: Pick<Sidecars, 'objects'>
  /** Of the Lease. */
  readonly namespace: string
  /** This replica's name. */
  readonly replica: string
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
}

export interface StatusWriter {
  /** Gives the Lease back when a write that is under way has ended. */
  close(): Promise<void>
}

export const LEASE = 'weft-control-status'
const LOOK_MS = 10_000
/** After this an object is asked for again: others can write over a status. */
const DOUBT_MS = 10 * 60_000
const BETWEEN_WRITES_MS = 10_000
/** After a change sidecars get a moment to take it up, so that the first status is also the last. */
const SETTLE_MS = 500

const KINDS: Readonly<Record<string, KubeKind>> = {
  HTTPRoute: HTTP_ROUTES,
  TrafficPolicy: TRAFFIC_POLICIES,
  MeshPolicy: MESH_POLICIES,
}

export function startStatusWriter(options: StatusWriterOptions): StatusWriter {
  const leader = startLeader({ ...options, name: LEASE, identity: options.replica })
  const writer = new Writer(options, () => leader.isLeader.current)
  const stops = [options.model.subscribe(() => writer.soon(SETTLE_MS)), leader.isLeader.subscribe(() => writer.lead())]
  return {
    async close() {
      for (const stop of stops) stop()
      await writer.close()
      await leader.close()
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
  readonly #mayWrite: () => boolean
  /** By object. What a leader before us wrote is found out by asking. */
  readonly #written = new Map<string, Written>()
  #isClosed = false
  #running: Promise<void> | null = null
  #isAskedAgain = false
  #due = NEVER

  constructor(options: StatusWriterOptions, mayWrite: () => boolean) {
    this.#options = options
    this.#mayWrite = mayWrite
  }

  /** Another may have written since this replica led last. */
  lead(): void {
    this.#written.clear()
    this.soon(0)
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
    const { model, documents, sidecars, clock } = this.#options
    if (model.current === undefined || !this.#mayWrite()) return
    const wanted = wantedStatuses(documents.current, model.current.statuses, sidecars.objects())
    for (const one of [...wanted, ...this.#noLongerOurs(wanted)]) {
      if (this.#isClosed || !this.#mayWrite()) return
      const before = this.#written.get(describeRef(one.object))
      const text = JSON.stringify(one)
      const age = before === undefined ? Number.POSITIVE_INFINITY : clock.now() - before.at
      if (before?.text === text && age < DOUBT_MS) continue
      if (age < BETWEEN_WRITES_MS) this.soon(BETWEEN_WRITES_MS - age)
      else await this.#write(one, text)
    }
  }

  /** Gone, or a route that has no Service as parent any more: its entry must not stay. */
  #noLongerOurs(wanted: readonly WantedStatus[]): readonly WantedStatus[] {
    const names = new Set(wanted.map(({ object }) => describeRef(object)))
    return [...this.#written]
      .filter(([name]) => !names.has(name))
      .map(([, { text }]) => ({ ...(JSON.parse(text) as WantedStatus), generation: ANY_GENERATION, entries: [] }))
  }

  async #write(wanted: WantedStatus, text: string): Promise<void> {
    const { client, clock, log } = this.#options
    const name = describeRef(wanted.object)
    const kind = KINDS[wanted.object.kind]
    if (kind === undefined) return
    try {
      const object = await client.get(kind, wanted.object)
      // What was compiled is an older text of it: the next model says what holds for this one.
      if (wanted.generation !== ANY_GENERATION && object.metadata.generation !== wanted.generation) return
      const patch = statusPatch(object, wanted, new Date(clock.wall()).toISOString().replace(/\.\d+Z$/, 'Z'))
      if (patch !== undefined) await client.patch(kind, wanted.object, patch, { subresource: 'status' })
      if (wanted.generation === ANY_GENERATION) this.#written.delete(name)
      else this.#written.set(name, { text, at: clock.now() })
    } catch (error) {
      if (isNotFound(error)) this.#written.delete(name)
      // Somebody wrote at the same time: the next round looks again.
      else if (isConflict(error)) this.soon(SETTLE_MS)
      else log.warn({ err: error, object: name }, 'a status could not be written; trying again')
    }
  }
}

const ANY_GENERATION = -1
