// A thin client of the Kubernetes API: list, watch, get, create, replace, patch, apply, remove. It retries nothing: who calls
// knows what may be repeated. Why not @kubernetes/client-node: docs/decisions/0007-own-kubernetes-client.md.
import type { Clock } from '#shared/clock.ts'
import { asKubeError, parseAnswer, readBody } from './answer.ts'
import type { KubeConnection } from './config.ts'
import { KubeError } from './error.ts'
import { apiVersionOf, type KubeKind, type KubeObject, keyOf, type ObjectName, pathOf } from './objects.ts'
import { createTransport, type KubeRequest, type Transport } from './transport.ts'
import { readWatch, type WatchEvent } from './watch-stream.ts'

export interface ListOptions {
  readonly namespace?: string
  readonly limit?: number
  /** From the page before. */
  readonly continueToken?: string
}

export interface KubeList {
  readonly items: readonly KubeObject[]
  readonly resourceVersion: string
  /** Empty: this was the last page. */
  readonly continueToken: string
}

export interface WatchOptions {
  readonly namespace?: string
  readonly resourceVersion: string
  /** After which the server ends the watch. */
  readonly timeoutSeconds: number
  readonly signal: AbortSignal
}

export interface PatchOptions {
  readonly subresource?: 'status'
}
export interface ApplyOptions extends PatchOptions {
  readonly fieldManager: string
}

/** Every call rejects with a KubeError that names call, kind and object. */
export interface KubeClient {
  list(kind: KubeKind, options?: ListOptions): Promise<KubeList>
  /** Events as they come, those that came together in one array; first an empty one when the watch is open. Ends when the server ends it. */
  watch(kind: KubeKind, options: WatchOptions): AsyncIterable<readonly WatchEvent[]>
  get(kind: KubeKind, name: ObjectName): Promise<KubeObject>
  create(kind: KubeKind, object: KubeObject): Promise<KubeObject>
  /** PUT: refused with 409 unless `metadata.resourceVersion` is current. */
  replace(kind: KubeKind, object: KubeObject, options?: PatchOptions): Promise<KubeObject>
  /** JSON merge patch (RFC 7396); with `metadata.resourceVersion` in it refused with 409 unless that is current. */
  patch(kind: KubeKind, name: ObjectName, patch: object, options?: PatchOptions): Promise<KubeObject>
  /** Server-side apply, forced: fields in `object` become ours. */
  apply(kind: KubeKind, object: KubeObject, options: ApplyOptions): Promise<KubeObject>
  remove(kind: KubeKind, name: ObjectName): Promise<void>
  /** For what has no method here: "/version", TokenReviews and the like. */
  send(what: string, method: string, path: string, body?: object): Promise<unknown>
  close(): void
}

export interface KubeClientOptions {
  readonly connection: KubeConnection
  readonly clock: Clock
  /** "weft-control" */
  readonly userAgent: string
  readonly timeoutMs?: number
}

const TIMEOUT_MS = 30_000
/** Beyond its own timeout a watch is dead. */
const WATCH_GRACE_MS = 30_000

export function createKubeClient(options: KubeClientOptions): KubeClient {
  const transport = createTransport(options.connection, options.userAgent)
  const exchange = exchangeBy(transport, options)
  const write = (verb: string, kind: KubeKind, name: ObjectName, request: Omit<KubeRequest, 'signal'>) =>
    exchange(`${verb} ${kind.kind} ${keyOf(name)}`, request) as Promise<KubeObject>
  return {
    async list(kind, { namespace, limit, continueToken } = {}) {
      const query = toQuery({ limit, continue: continueToken })
      const answer = await exchange(`list ${kind.plural}`, {
        method: 'GET',
        path: `${pathOf(kind, placeOf(namespace))}${query}`,
      })
      return readList(kind, answer)
    },
    watch: (kind, watch) => watchKind(options, transport, kind, watch),
    get: (kind, name) => write('get', kind, name, { method: 'GET', path: pathOf(kind, name) }),
    create(kind, object) {
      const name = nameOf(object)
      const path = pathOf(kind, placeOf(name.namespace))
      return write('create', kind, name, { method: 'POST', path, body: withKind(kind, object) })
    },
    replace(kind, object, part) {
      const name = nameOf(object)
      return write('replace', kind, name, {
        method: 'PUT',
        path: pathTo(kind, name, part),
        body: withKind(kind, object),
      })
    },
    patch(kind, name, patch, part) {
      const path = pathTo(kind, name, part)
      const contentType = 'application/merge-patch+json'
      return write('patch', kind, name, { method: 'PATCH', path, body: JSON.stringify(patch), contentType })
    },
    apply(kind, object, { fieldManager, ...part }) {
      const name = nameOf(object)
      const path = `${pathTo(kind, name, part)}${toQuery({ fieldManager, force: 'true' })}`
      // JSON is YAML; the server takes no other media type for this.
      const contentType = 'application/apply-patch+yaml'
      return write('apply', kind, name, { method: 'PATCH', path, body: withKind(kind, object), contentType })
    },
    async remove(kind, name) {
      await write('delete', kind, name, { method: 'DELETE', path: pathOf(kind, name) })
    },
    send: (what, method, path, body) =>
      exchange(what, { method, path, ...(body !== undefined && { body: JSON.stringify(body) }) }),
    close: () => transport.close(),
  }
}

type Exchange = (what: string, request: Omit<KubeRequest, 'signal'>) => Promise<unknown>

function exchangeBy(transport: Transport, { clock, timeoutMs = TIMEOUT_MS }: KubeClientOptions): Exchange {
  return async (what, request) => {
    const deadline = startDeadline(clock, timeoutMs)
    try {
      const response = await transport.send({ ...request, signal: deadline.signal })
      return parseAnswer(what, response, await readBody(response))
    } catch (error) {
      throw asKubeError(what, error)
    } finally {
      deadline.clear()
    }
  }
}

const pathTo = (kind: KubeKind, name: ObjectName, { subresource }: PatchOptions = {}) =>
  `${pathOf(kind, name)}${subresource === undefined ? '' : `/${subresource}`}`
const placeOf = (namespace: string | undefined) => (namespace === undefined ? {} : { namespace })
const withKind = (kind: KubeKind, object: KubeObject) =>
  JSON.stringify({ ...object, apiVersion: apiVersionOf(kind), kind: kind.kind })

function nameOf({ metadata }: KubeObject): ObjectName {
  if (metadata.name === undefined) throw new TypeError('an object without metadata.name')
  return { name: metadata.name, ...placeOf(metadata.namespace) }
}

function toQuery(values: Readonly<Record<string, string | number | undefined>>): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(values))
    if (value !== undefined && value !== '') query.set(name, `${value}`)
  return query.size === 0 ? '' : `?${query}`
}

async function* watchKind(
  { clock }: KubeClientOptions,
  transport: Transport,
  kind: KubeKind,
  { namespace, resourceVersion, timeoutSeconds, signal }: WatchOptions,
): AsyncGenerator<readonly WatchEvent[]> {
  const what = `watch ${kind.plural}`
  const query = toQuery({ watch: 'true', allowWatchBookmarks: 'true', resourceVersion, timeoutSeconds })
  const deadline = startDeadline(clock, timeoutSeconds * 1000 + WATCH_GRACE_MS)
  try {
    const response = await transport.send({
      method: 'GET',
      path: `${pathOf(kind, placeOf(namespace))}${query}`,
      signal: AbortSignal.any([signal, deadline.signal]),
    })
    if (response.statusCode !== 200) parseAnswer(what, response, await readBody(response))
    // That it is open is news too: there may be nothing else for a long time.
    yield []
    yield* readWatch(response)
  } catch (error) {
    throw asKubeError(what, error)
  } finally {
    deadline.clear()
  }
}

function startDeadline(clock: Clock, afterMs: number): { readonly signal: AbortSignal; clear(): void } {
  const controller = new AbortController()
  const clear = clock.after(afterMs, () => controller.abort(new Error(`no answer within ${afterMs / 1000} s`)))
  return { signal: controller.signal, clear }
}

function readList(kind: KubeKind, answer: unknown): KubeList {
  const { items, metadata } = (answer ?? {}) as {
    items?: unknown
    metadata?: { resourceVersion?: unknown; continue?: unknown }
  }
  if (!(Array.isArray(items) || items === null) || typeof metadata?.resourceVersion !== 'string') {
    throw new KubeError(`list ${kind.plural}`, { status: 0, reason: '', message: 'an answer that is no list' })
  }
  const continueToken = typeof metadata.continue === 'string' ? metadata.continue : ''
  return { items: items ?? [], resourceVersion: metadata.resourceVersion, continueToken }
}
