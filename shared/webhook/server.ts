// The server that the API server asks for its reviews: one path over TLS. All that it takes is bounded, since whoever reaches the
// port may send anything; what is wrong is answered with what would be right.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { limitSources } from '#shared/limit-sources.ts'
import type { Log } from '#shared/log.ts'
import { type Allowance, type AllowanceOptions, createAllowance } from './allowance.ts'
import type { CertificateSource, ServingCertificate } from './certificate.ts'
import { type AdmissionRequest, formatReview, readReview, type Verdict } from './review.ts'

export interface ReviewServerOptions<Outcome extends string> {
  /** "/mutate" */
  readonly path: string
  readonly certificate: CertificateSource['certificate']
  readonly port: number
  readonly mostBytes: number
  readonly maxConcurrent: number
  readonly requestTimeoutMs: number
  /** Absent: the thread is theirs. */
  readonly allowance?: AllowanceOptions
  readonly now: () => number
  readonly log: Log
  /** Never rejects: what goes wrong is a verdict that says so. */
  judge(request: AdmissionRequest): Judged<Outcome> | Promise<Judged<Outcome>>
  observe(outcome: Outcome | Unjudged, durationMs: number): void
}

export interface Judged<Outcome extends string> {
  readonly outcome: Outcome
  readonly verdict: Verdict
}

/** How a request ends that is no review, or one too many. */
export type Unjudged = 'bad_request' | 'too_many'

export interface ReviewServer extends AsyncDisposable {
  /** As bound. */
  readonly port: number
  /** Answers go on, each as the last of its connection, so that the API server turns to another replica. */
  drain(): void
  /** No new connection; what runs may end within the limit. */
  close(limitMs: number): Promise<void>
}

interface Answer<Outcome extends string> {
  readonly status: number
  readonly body: string
  readonly counted: Outcome | Unjudged
}

/** Of one address; an API server opens one for each review that runs. */
const MOST_CONNECTIONS_PER_SOURCE = 128
/** An API server sends what it has at once: who takes longer gives way when there is no room. */
const PATIENCE_MS = 250

/** Resolves when the port is open. */
export async function startReviewServer<Outcome extends string>(
  options: ReviewServerOptions<Outcome>,
): Promise<ReviewServer> {
  const server = createServer(serverOptions(options))
  server.maxConnections = 512
  limitSources(server, MOST_CONNECTIONS_PER_SOURCE)
  // A handshake that fails is the client's affair.
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  const unsubscribe = options.certificate.subscribe((next) => server.setSecureContext(context(next)))
  const allowance = createAllowance(options.allowance ?? { share: 1, burstMs: Number.POSITIVE_INFINITY }, options.now)
  const readers: Readers = new Map()
  let running = 0
  let isDraining = false
  server.on('request', (request, response) => {
    const isFull = running >= options.maxConcurrent && !makeRoom(readers, options.now())
    running++
    if (isDraining) response.setHeader('connection', 'close')
    void serve(request, response, { options, isFull, readers, allowance }).finally(() => running--)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port: options.port }, resolve)
  })
  async function close(limitMs: number): Promise<void> {
    unsubscribe()
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    server.closeIdleConnections()
    const timer = setTimeout(() => server.closeAllConnections(), limitMs)
    await closed
    clearTimeout(timer)
  }
  return {
    port: (server.address() as AddressInfo).port,
    drain() {
      isDraining = true
    },
    close,
    [Symbol.asyncDispose]: () => close(0),
  }
}

/** Whose body is still to come, and since when: the oldest first. */
type Readers = Map<IncomingMessage, number>

function makeRoom(readers: Readers, now: number): boolean {
  const [oldest] = readers
  if (oldest === undefined || now - oldest[1] < PATIENCE_MS) return false
  readers.delete(oldest[0])
  oldest[0].destroy()
  return true
}

const context = ({ certificate: cert, key }: ServingCertificate) => ({ cert, key })

function serverOptions({ certificate, requestTimeoutMs }: ReviewServerOptions<string>) {
  return {
    ...context(certificate.current),
    minVersion: 'TLSv1.2' as const,
    handshakeTimeout: requestTimeoutMs,
    headersTimeout: requestTimeoutMs,
    requestTimeout: requestTimeoutMs,
    connectionsCheckingInterval: Math.ceil(requestTimeoutMs / 4),
    keepAliveTimeout: 120_000,
    maxHeaderSize: 16 * 1024,
  }
}

interface Serving<Outcome extends string> {
  readonly options: ReviewServerOptions<Outcome>
  readonly isFull: boolean
  readonly readers: Readers
  readonly allowance: Allowance
}

async function serve<Outcome extends string>(
  request: IncomingMessage,
  response: ServerResponse,
  serving: Serving<Outcome>,
): Promise<void> {
  const { observe, now, log } = serving.options
  const startedAt = now()
  try {
    const answer = await answerTo(request, serving)
    const isLeftOver = !request.complete
    response.writeHead(answer.status, {
      'content-type': answer.status === 200 ? 'application/json' : 'text/plain; charset=utf-8',
      'content-length': Buffer.byteLength(answer.body),
      'cache-control': 'no-store',
      // The rest of a body that we do not read is not worth reading.
      ...(isLeftOver && { connection: 'close' }),
      ...(answer.status === 405 && { allow: 'POST' }),
    })
    response.end(answer.body)
    observe(answer.counted, now() - startedAt)
  } catch (cause) {
    // The caller has gone, or was too slow.
    log.debug({ err: cause }, 'a review ended early')
    observe('bad_request', now() - startedAt)
    request.destroy()
  }
}

async function answerTo<Outcome extends string>(
  request: IncomingMessage,
  { options, isFull, readers, allowance }: Serving<Outcome>,
): Promise<Answer<Outcome>> {
  const { path: own, mostBytes } = options
  const [path] = (request.url ?? '').split('?', 1)
  if (path !== own) return bad(404, `ask POST ${own}`)
  if (request.method !== 'POST') return bad(405, `ask POST ${own}`)
  if (isFull || allowance.isUsedUp())
    return { status: 503, body: 'too many reviews at a time; try again\n', counted: 'too_many' }
  const [type = ''] = (request.headers['content-type'] ?? '').split(';', 1)
  if (type.trim().toLowerCase() !== 'application/json') return bad(415, 'want content-type: application/json')
  readers.set(request, options.now())
  const text = await readBody(request, mostBytes).finally(() => readers.delete(request))
  if (text === undefined) return bad(413, `want at most ${mostBytes} bytes`)
  try {
    const review = allowance.charge(() => readReview(text))
    const { verdict, outcome } = await allowance.charge(() => options.judge(review))
    return { status: 200, body: formatReview(review.uid, verdict), counted: outcome }
  } catch (cause) {
    if (cause instanceof TypeError) return bad(400, cause.message)
    throw cause
  }
}

const bad = (status: number, why: string) => ({ status, body: `${why}\n`, counted: 'bad_request' as const })

/** Undefined: too long. Rejects when the caller goes away. */
async function readBody(request: IncomingMessage, mostBytes: number): Promise<string | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > mostBytes) return undefined
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > mostBytes) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
