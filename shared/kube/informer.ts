// Keeps the objects of one kind current: lists them page by page, then watches from that version on. What breaks is begun again
// where it broke; what the server no longer remembers (410) is listed anew. Never gives up, never forgets what it has meanwhile.
import type { Clock } from '#shared/clock.ts'
import type { Log } from '#shared/log.ts'
import { type Watch, Watched } from '#shared/watch.ts'
import { createBackoff } from './backoff.ts'
import type { KubeClient } from './client.ts'
import { isGone, isNotFound, isPassing, KubeError, readStatus, WatchError } from './error.ts'
import type { KubeKind, KubeObject } from './objects.ts'
import { type Project, Store } from './store.ts'
import type { WatchEvent } from './watch-stream.ts'

/** missing: the API server does not know the kind (a CRD that is not installed), so there are no objects of it. */
export type InformerState = 'starting' | 'synced' | 'missing'

export interface Informer<T> {
  readonly kind: KubeKind
  /** By "namespace/name". Empty until synced; then never again unless there are none. */
  readonly objects: Watch<ReadonlyMap<string, T>>
  readonly state: Watch<InformerState>
  /** Why it does not get on at the moment; null: it does. */
  readonly failure: Watch<string | null>
  close(): void
}

export interface InformerOptions<T> {
  readonly client: Pick<KubeClient, 'list' | 'watch'>
  readonly kind: KubeKind
  readonly namespace?: string
  /** Cuts an object down to what is read: only this is kept in memory. */
  readonly project: Project<T>
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
  readonly pageSize?: number
  /** How often to list anew although nothing seems amiss. */
  readonly resyncMs?: number
}

export const hasSynced = (informer: Informer<unknown>): boolean => informer.state.current !== 'starting'

const PAGE_SIZE = 500
const RESYNC_MS = 30 * 60_000
const FIRST_RETRY_MS = 500
const LONGEST_RETRY_MS = 30_000
/** A 404 of a kind that had objects is believed when it has been said this often. */
const MISSING_TIMES = 3
/** A watch lasts this to twice this. */
const WATCH_SECONDS = 300
/** A watch that ended sooner did no work: the next waits. */
const SHORT_WATCH_MS = 1_000

export function createInformer<T>(options: InformerOptions<T>): Informer<T> {
  const loop = new Loop(options)
  void loop.run()
  const { objects } = loop.store
  return { kind: options.kind, objects, state: loop.state, failure: loop.failure, close: () => loop.close() }
}

class Loop<T> {
  readonly store: Store<T>
  readonly state = new Watched<InformerState>('starting')
  readonly failure = new Watched<string | null>(null)
  readonly #options: InformerOptions<T>
  readonly #backoff
  readonly #closing = new AbortController()
  #timesMissing = 0

  constructor(options: InformerOptions<T>) {
    this.#options = options
    this.store = new Store(options.project, options.log)
    this.#backoff = createBackoff(FIRST_RETRY_MS, LONGEST_RETRY_MS, options.random)
  }

  close(): void {
    this.#closing.abort(new Error('closed'))
  }

  async run(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      try {
        const version = await this.#list()
        await this.#follow(version)
      } catch (error) {
        if (signal.aborted) return
        await this.#wait(this.#noteFailure(error))
      }
    }
  }

  /** Resolves with the version from which to watch. */
  async #list(): Promise<string> {
    const { objects, resourceVersion } = await this.#listPages(this.#options.pageSize ?? PAGE_SIZE)
    if (this.#closing.signal.aborted) return resourceVersion
    this.store.replace(objects)
    this.#timesMissing = 0
    this.#noteWorks()
    this.state.set('synced')
    return resourceVersion
  }

  /** A list that takes so long that its snapshot is forgotten is asked for in one piece. */
  async #listPages(limit: number): Promise<{ objects: readonly KubeObject[]; resourceVersion: string }> {
    const { client, kind, namespace } = this.#options
    const objects: KubeObject[] = []
    let continueToken = ''
    try {
      for (;;) {
        const page = await client.list(kind, { limit, continueToken, ...(namespace !== undefined && { namespace }) })
        objects.push(...page.items)
        continueToken = page.continueToken
        if (continueToken === '') return { objects, resourceVersion: page.resourceVersion }
      }
    } catch (error) {
      if (!isGone(error) || continueToken === '') throw error
      const whole = await client.list(kind, namespace === undefined ? {} : { namespace })
      return { objects: whole.items, resourceVersion: whole.resourceVersion }
    }
  }

  /** Returns when it is time to list anew; throws what only a new list can mend. */
  async #follow(from: string): Promise<void> {
    const { clock, random } = this.#options
    const { signal } = this.#closing
    const relistAt = clock.now() + (this.#options.resyncMs ?? RESYNC_MS) * (1 + random() / 5)
    let version = from
    const onVersion = (latest: string) => {
      version = latest
    }
    while (!signal.aborted && clock.now() < relistAt) {
      const startedAt = clock.now()
      const failure = await this.#watch(version, onVersion).catch((error: unknown) => error ?? new Error('nothing'))
      if (signal.aborted) return
      const wasShort = clock.now() - startedAt < SHORT_WATCH_MS
      if (!wasShort) this.#backoff.reset()
      // What broke is taken up where it broke: the server has said nothing against the version.
      if (failure !== undefined && !isPassing(failure)) throw failure
      if (failure !== undefined) await this.#wait(this.#noteFailure(failure))
      else if (wasShort) await this.#wait(this.#backoff.next())
    }
  }

  /** Ends when the server ends it; `onVersion` is told of each version that is behind us. */
  async #watch(resourceVersion: string, onVersion: (version: string) => void): Promise<void> {
    const { client, kind, namespace, random } = this.#options
    const timeoutSeconds = Math.round(WATCH_SECONDS * (1 + random()))
    const { signal } = this.#closing
    const place = namespace === undefined ? {} : { namespace }
    for await (const events of client.watch(kind, { resourceVersion, timeoutSeconds, signal, ...place })) {
      if (signal.aborted) return
      const failed = events.findIndex(({ type }) => type === 'ERROR')
      const good = failed === -1 ? events : events.slice(0, failed)
      this.store.take(good.filter(({ type }) => type !== 'BOOKMARK'))
      const version = good.at(-1)?.object.metadata.resourceVersion
      if (version !== undefined) onVersion(version)
      const error = events[failed]
      if (error !== undefined) throw asError(kind, error)
      this.#noteWorks()
      // Not by a list: one who may list and not watch would list without end.
      if (good.length > 0) this.#backoff.reset()
    }
  }

  #noteWorks(): void {
    if (this.failure.current === null) return
    this.#options.log.info({ kind: this.#options.kind.kind }, `${this.#options.kind.plural} are current again`)
    this.failure.set(null)
  }

  /** Returns how long to wait. */
  #noteFailure(error: unknown): number {
    const { kind, log } = this.#options
    const asked = error instanceof KubeError ? (error.retryAfterMs ?? 0) : 0
    const waitMs = Math.max(this.#backoff.next(), asked)
    if (isNotFound(error)) this.#noteMissing()
    // A version that is no longer kept is the daily course of things.
    else if (isGone(error)) log.debug({ kind: kind.kind, err: error }, 'listing anew')
    else {
      const message = error instanceof Error ? error.message : String(error)
      if (this.failure.current !== message) log.warn({ kind: kind.kind, err: error }, `${message}; trying again`)
      this.failure.set(message)
    }
    return waitMs
  }

  /** Right after its start an API server may not know of a CRD that is there. */
  #noteMissing(): void {
    const { kind, log } = this.#options
    this.#timesMissing++
    if (this.store.objects.current.size > 0 && this.#timesMissing < MISSING_TIMES) return
    this.store.replace([])
    if (this.state.current !== 'missing') {
      const of = `${kind.plural} of ${kind.group}/${kind.version}`
      log.warn({ kind: kind.kind }, `the cluster has no ${of}: is its CRD installed? Trying again`)
    }
    this.state.set('missing')
  }

  #wait(delayMs: number): Promise<void> {
    const { signal } = this.#closing
    return new Promise((resolve) => {
      const finish = () => {
        cancel()
        signal.removeEventListener('abort', finish)
        resolve()
      }
      const cancel = this.#options.clock.after(delayMs, finish)
      signal.addEventListener('abort', finish, { once: true })
    })
  }
}

function asError(kind: KubeKind, { object }: WatchEvent): KubeError {
  const code = typeof object['code'] === 'number' ? object['code'] : 500
  return new WatchError(`watch ${kind.plural}`, readStatus(code, JSON.stringify(object)))
}
