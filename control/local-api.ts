// The API of `weft status`, `traces` and `apply`: HTTP on a Unix socket that only its owner can open, so without passwords.
import { once } from 'node:events'
import { chmod, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { Watch } from '#shared/watch.ts'
import type { ConfigStore } from './apply.ts'
import type { Model } from './model/compile.ts'
import type { StatusReport } from './status.ts'
import type { TraceRing } from './traces/ring.ts'

export interface LocalApiParts {
  readonly store: ConfigStore
  readonly ring: TraceRing
  readonly model: Watch<Model | undefined>
  status(): StatusReport
}

export interface LocalApi {
  close(): Promise<void>
}

interface Answer {
  readonly status: number
  readonly body: unknown
}

interface Call {
  readonly request: IncomingMessage
  readonly query: URLSearchParams
  /** What stands after the path of the route. */
  readonly rest: string
  readonly parts: LocalApiParts
}

type Route = readonly [method: string, path: string, answer: (call: Call) => Answer | Promise<Answer>]

const MAX_BODY_BYTES = 4 * 1024 * 1024
const DEFAULT_TRACES = 20

const ok = (body: unknown): Answer => ({ status: 200, body })
const failure = (status: number, error: string): Answer => ({ status, body: { error } })

/** Paths that end in a slash take what follows. */
const ROUTES: readonly Route[] = [
  ['GET', '/status', ({ parts }) => ok(parts.status())],
  ['GET', '/traces', listTraces],
  ['GET', '/traces/', findTrace],
  ['GET', '/model/destination', findDestination],
  ['POST', '/apply', apply],
]

/** Replaces a socket that a killed run has left. Rejects when the path cannot be had. */
export async function startLocalApi(path: string, parts: LocalApiParts): Promise<LocalApi> {
  const server = createServer((request, response) => {
    void answer(request, parts).then(({ status, body }) => {
      const text = `${JSON.stringify(body)}\n`
      response.writeHead(status, { 'content-type': 'application/json', connection: 'close' }).end(text)
    })
  })
  await rm(path, { force: true })
  await listenPrivately(server, path)
  return {
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

async function listenPrivately(server: Server, path: string): Promise<void> {
  // The socket is made in this call of listen(): with this mask there is no moment at which others can open it.
  const before = process.umask(0o177)
  try {
    server.listen(path)
  } finally {
    process.umask(before)
  }
  await once(server, 'listening')
  await chmod(path, 0o600)
}

/** Never rejects. */
async function answer(request: IncomingMessage, parts: LocalApiParts): Promise<Answer> {
  try {
    const { pathname, searchParams: query } = new URL(request.url ?? '/', 'http://control')
    const isAt = (path: string) => (path.endsWith('/') ? pathname.startsWith(path) : pathname === path)
    const found = ROUTES.filter(([, path]) => isAt(path))
    const route = found.find(([method]) => method === request.method)
    if (route === undefined) return failure(found.length > 0 ? 405 : 404, `no ${request.method} ${pathname} here`)
    const [, path, run] = route
    return await run({ request, query, rest: decodeURIComponent(pathname.slice(path.length)), parts })
  } catch (error) {
    return failure(error instanceof URIError ? 400 : 500, error instanceof Error ? error.message : String(error))
  }
}

function listTraces({ query, parts }: Call): Answer {
  const limit = query.get('limit') ?? String(DEFAULT_TRACES)
  if (!/^\d{1,5}$/.test(limit)) return failure(400, `limit=${limit}: want a whole number`)
  return ok({ traces: parts.ring.latest(Number(limit)) })
}

function findTrace({ rest, parts }: Call): Answer {
  const trace = parts.ring.find(rest.toLowerCase())
  return trace === undefined ? failure(404, `no trace ${rest}: it may have been pushed out by newer ones`) : ok(trace)
}

function findDestination({ query, parts }: Call): Answer {
  const key = query.get('key') ?? ''
  const namespace = query.get('namespace') ?? 'default'
  const model = parts.model.current
  if (model === undefined) return failure(503, 'there is no good configuration yet; GET /status says why')
  const config = model.destination(key, namespace)
  if (config === null) return failure(404, `${key} is no address of the mesh`)
  const pod = query.get('pod')
  const endpoints = config.backends.map(({ key: backend }) => {
    const place = pod === null ? undefined : model.placeOf(backend, pod)
    return {
      backend,
      ipv4: model.endpoints(backend, 'ipv4', place),
      ipv6: model.endpoints(backend, 'ipv6', place),
    }
  })
  return ok({ config, endpoints })
}

async function apply({ request, query, parts }: Call): Promise<Answer> {
  const text = await readBody(request)
  if (text === undefined) return failure(413, `the documents may have ${MAX_BODY_BYTES} bytes`)
  const source = { path: query.get('file') ?? 'standard input', text }
  const result = await parts.store.apply(source, query.get('dryRun') === 'true')
  if (result === undefined) return failure(503, 'there is no good configuration yet; GET /status says why')
  return { status: 'problems' in result ? 422 : 200, body: result }
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BODY_BYTES) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
