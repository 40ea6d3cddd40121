// An API server that keeps a few kinds in memory and misbehaves when told: for what a real one does only now and then.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { KubeConnection } from '#shared/kube/config.ts'
import { type KubeKind, type KubeObject, keyOf, pathOf } from '#shared/kube/objects.ts'

export interface FakeApiServer {
  readonly connection: KubeConnection
  /** Every request since the start: "GET /api/v1/pods?limit=500". */
  readonly requests: readonly string[]
  /** Tells the watches, as kubectl apply would. */
  put(kind: KubeKind, object: KubeObject): KubeObject
  remove(kind: KubeKind, name: string): void
  object(kind: KubeKind, name: string): KubeObject | undefined
  /** The next `times` requests that begin so ("GET /api/v1/pods") are answered with this. */
  refuse(begin: string, status: number, times?: number, retryAfterSeconds?: number): void
  /** The next request that begins so gets this body instead of its own. */
  garble(begin: string, body: string): void
  /** A line into every watch of the kind. */
  say(kind: KubeKind, line: string): void
  bookmark(kind: KubeKind): void
  /** Cuts the connections of all watches, in the middle of a line. */
  cut(): void
  /** Ends all watches as they end when their time is over. */
  end(): void
  /** Forgets old versions: who watches is told 410, and so is who begins from before. */
  compact(): void
  /** Watches of the kind that are open. */
  watches(kind: KubeKind): number
  /** Resolves when the test passes after some request or at once. */
  until(test: () => boolean): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

interface Shelf {
  readonly kind: KubeKind
  readonly objects: Map<string, KubeObject>
  readonly watches: Set<ServerResponse>
  readonly log: { readonly version: number; readonly line: string }[]
}

interface Fault {
  readonly begin: string
  status: number
  body: string
  times: number
  readonly headers: Readonly<Record<string, string>>
}

export async function startFakeApiServer(...kinds: readonly KubeKind[]): Promise<FakeApiServer> {
  const state = new State(kinds)
  const server = createServer((request, response) => void state.answer(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return Object.assign(state, {
    connection: { server: new URL(`http://127.0.0.1:${port}`), credentials: async () => ({ token: 'fake' }) },
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  })
}

class State {
  readonly requests: string[] = []
  readonly #shelves: readonly Shelf[]
  readonly #faults: Fault[] = []
  readonly #waiting = new Set<() => void>()
  #version = 100
  #oldest = 0

  constructor(kinds: readonly KubeKind[]) {
    this.#shelves = kinds.map((kind) => ({ kind, objects: new Map(), watches: new Set(), log: [] }))
  }

  put(kind: KubeKind, object: KubeObject): KubeObject {
    const shelf = this.#shelf(kind)
    const key = keyOf(object.metadata)
    const known = shelf.objects.get(key)
    const stored = {
      ...object,
      metadata: { uid: `uid-${key}`, ...object.metadata, resourceVersion: `${++this.#version}` },
    }
    shelf.objects.set(key, stored)
    this.#tell(shelf, known === undefined ? 'ADDED' : 'MODIFIED', stored)
    return stored
  }

  remove(kind: KubeKind, name: string): void {
    const shelf = this.#shelf(kind)
    const known = shelf.objects.get(name)
    if (known === undefined) throw new Error(`no ${name}`)
    shelf.objects.delete(name)
    this.#tell(shelf, 'DELETED', { ...known, metadata: { ...known.metadata, resourceVersion: `${++this.#version}` } })
  }

  object(kind: KubeKind, name: string): KubeObject | undefined {
    return this.#shelf(kind).objects.get(name)
  }

  refuse(begin: string, status: number, times = 1, retryAfterSeconds?: number): void {
    const body = JSON.stringify({
      kind: 'Status',
      code: status,
      reason: status === 410 ? 'Expired' : 'Told',
      message: 'told to',
    })
    const headers: Record<string, string> =
      retryAfterSeconds === undefined ? {} : { 'retry-after': `${retryAfterSeconds}` }
    this.#faults.push({ begin, status, body, times, headers })
  }

  garble(begin: string, body: string): void {
    this.#faults.push({ begin, status: 200, body, times: 1, headers: {} })
  }

  say(kind: KubeKind, line: string): void {
    for (const watch of this.#shelf(kind).watches) watch.write(`${line}\n`)
  }

  bookmark(kind: KubeKind): void {
    const metadata = { resourceVersion: `${this.#version}` }
    this.say(kind, JSON.stringify({ type: 'BOOKMARK', object: { kind: kind.kind, metadata } }))
  }

  cut(): void {
    for (const { watches } of this.#shelves) {
      for (const watch of watches) watch.write('{"type":"ADDED","obj', () => watch.destroy())
    }
  }

  end(): void {
    for (const { watches } of this.#shelves) for (const watch of watches) watch.end()
  }

  compact(): void {
    this.#oldest = ++this.#version
    const object = { kind: 'Status', metadata: {}, code: 410, reason: 'Expired', message: 'too old resource version' }
    for (const { kind, watches } of this.#shelves) {
      this.say(kind, JSON.stringify({ type: 'ERROR', object }))
      for (const watch of watches) watch.end()
    }
  }

  watches(kind: KubeKind): number {
    return this.#shelf(kind).watches.size
  }

  until(test: () => boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const check = () => {
      if (!test()) return
      this.#waiting.delete(check)
      resolve()
    }
    this.#waiting.add(check)
    check()
    return promise
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const line = `${request.method} ${request.url}`
    this.requests.push(line)
    const url = new URL(request.url ?? '', 'http://fake')
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const fault = this.#faults.find((one) => one.times > 0 && line.startsWith(one.begin))
    if (fault !== undefined) {
      fault.times--
      response.writeHead(fault.status, fault.headers).end(fault.body)
    } else this.#serve(request, url, Buffer.concat(chunks).toString(), response)
    for (const check of [...this.#waiting]) check()
  }

  #serve(request: IncomingMessage, url: URL, body: string, response: ServerResponse): void {
    const found = this.#find(url.pathname)
    if (found === undefined)
      return refuse(response, 404, 'NotFound', 'the server could not find the requested resource')
    const { shelf, name, isStatus } = found
    if (request.method === 'GET' && name === undefined) {
      if (url.searchParams.has('watch')) this.#watch(shelf, url.searchParams, response)
      else this.#list(shelf, url.searchParams, response)
      return
    }
    const given = body === '' ? {} : (JSON.parse(body) as KubeObject)
    if (request.method === 'POST') return this.#create(shelf, given as KubeObject, response)
    const known = shelf.objects.get(name ?? '')
    const isApply = request.headers['content-type'] === 'application/apply-patch+yaml'
    if (known === undefined && isApply) return send(response, this.put(shelf.kind, given as KubeObject), 201)
    if (known === undefined) return refuse(response, 404, 'NotFound', `${shelf.kind.plural} "${name}" not found`)
    if (request.method === 'GET') return send(response, known)
    if (request.method === 'DELETE') {
      this.remove(shelf.kind, name ?? '')
      return send(response, { kind: 'Status', status: 'Success' })
    }
    this.#change(shelf, known, { given: given as KubeObject, isPatch: request.method === 'PATCH', isStatus }, response)
  }

  #create(shelf: Shelf, given: KubeObject, response: ServerResponse): void {
    if (shelf.objects.has(keyOf(given.metadata))) return refuse(response, 409, 'AlreadyExists', 'already exists')
    send(response, this.put(shelf.kind, given), 201)
  }

  #change(
    shelf: Shelf,
    known: KubeObject,
    { given, isPatch, isStatus }: { given: KubeObject; isPatch: boolean; isStatus: boolean },
    response: ServerResponse,
  ): void {
    const version = given.metadata?.resourceVersion
    if (version !== undefined && version !== known.metadata.resourceVersion) {
      return refuse(response, 409, 'Conflict', 'the object has been modified')
    }
    if (isStatus) {
      const rest = isPatch ? (known['status'] as object | undefined) : {}
      return send(response, this.put(shelf.kind, { ...known, status: { ...rest, ...(given['status'] as object) } }))
    }
    send(response, this.put(shelf.kind, isPatch ? { ...known, ...given, metadata: known.metadata } : given))
  }

  #list(shelf: Shelf, query: URLSearchParams, response: ServerResponse): void {
    const from = Number(query.get('continue') ?? 0)
    const limit = Number(query.get('limit') ?? 0) || Number.POSITIVE_INFINITY
    // Of selectors, only one label and its value.
    const [label, value] = query.get('labelSelector')?.split('=') ?? []
    const all = [...shelf.objects.values()].filter(
      ({ metadata }) => label === undefined || metadata.labels?.[label] === value,
    )
    const items = all.slice(from, from + limit)
    const rest = from + items.length < all.length ? { continue: `${from + items.length}` } : {}
    send(response, {
      kind: `${shelf.kind.kind}List`,
      metadata: { resourceVersion: `${this.#version}`, ...rest },
      items,
    })
  }

  #watch(shelf: Shelf, query: URLSearchParams, response: ServerResponse): void {
    const from = Number(query.get('resourceVersion'))
    if (from < this.#oldest) return refuse(response, 410, 'Expired', 'too old resource version')
    response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders()
    for (const { version, line } of shelf.log) if (version > from) response.write(`${line}\n`)
    shelf.watches.add(response)
    response.on('close', () => {
      shelf.watches.delete(response)
      for (const check of [...this.#waiting]) check()
    })
  }

  #tell(shelf: Shelf, type: string, object: KubeObject): void {
    const line = JSON.stringify({ type, object })
    shelf.log.push({ version: this.#version, line })
    this.say(shelf.kind, line)
  }

  #shelf(kind: KubeKind): Shelf {
    const shelf = this.#shelves.find((one) => one.kind === kind)
    if (shelf === undefined) throw new Error(`the fake has no ${kind.plural}`)
    return shelf
  }

  #find(path: string): { shelf: Shelf; name: string | undefined; isStatus: boolean } | undefined {
    for (const shelf of this.#shelves) {
      const [root = ''] = pathOf(shelf.kind).split(`/${shelf.kind.plural}`)
      const pattern = new RegExp(`^${root}(?:/namespaces/([^/]+))?/${shelf.kind.plural}(?:/([^/]+))?(/status)?$`)
      const match = pattern.exec(path)
      if (match === null) continue
      const [, namespace, name, status] = match
      const key = name === undefined ? undefined : keyOf({ name, ...(namespace !== undefined && { namespace }) })
      return { shelf, name: key, isStatus: status !== undefined }
    }
    return undefined
  }
}

function send(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

function refuse(response: ServerResponse, code: number, reason: string, message: string): void {
  send(response, { kind: 'Status', code, reason, message }, code)
}
