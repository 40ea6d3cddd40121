// The server that the API server asks for each new pod: POST /mutate over TLS. All that it takes is bounded, since whoever
// reaches the port may send anything; what is wrong is answered with what would be right.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { type AdmitOptions, admit } from './admit.ts'
import type { CertificateSource } from './certificate.ts'
import type { Counted, InjectorMetrics } from './metrics.ts'
import { formatReview, readReview } from './review.ts'

export interface WebhookOptions extends AdmitOptions {
  readonly certificate: CertificateSource['certificate']
  readonly metrics: InjectorMetrics
  readonly port: number
  readonly maxConcurrent: number
  readonly requestTimeoutMs: number
  readonly now: () => number
}

export interface Webhook extends AsyncDisposable {
  /** As bound. */
  readonly port: number
  /** No new connection; what runs may end within the limit. */
  close(limitMs: number): Promise<void>
}

const MOST_BYTES = 1024 * 1024

interface Answer {
  readonly status: number
  readonly body: string
  readonly counted: Counted
}

/** Resolves when the port is open. */
export async function startWebhook(options: WebhookOptions): Promise<Webhook> {
  const context = ({ certificate: cert, key }: typeof options.certificate.current) => ({ cert, key })
  const server = createServer({
    ...context(options.certificate.current),
    minVersion: 'TLSv1.2',
    handshakeTimeout: options.requestTimeoutMs,
    headersTimeout: options.requestTimeoutMs,
    requestTimeout: options.requestTimeoutMs,
    connectionsCheckingInterval: Math.ceil(options.requestTimeoutMs / 4),
    keepAliveTimeout: 120_000,
    maxHeaderSize: 16 * 1024,
  })
  server.maxConnections = 512
  // A handshake that fails is the client's affair.
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  const unsubscribe = options.certificate.subscribe((next) => server.setSecureContext(context(next)))
  let running = 0
  server.on('request', (request, response) => {
    running++
    void serve(request, response, { options, isFull: running > options.maxConcurrent }).finally(() => running--)
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
    close,
    [Symbol.asyncDispose]: () => close(0),
  }
}

interface Serving {
  readonly options: WebhookOptions
  readonly isFull: boolean
}

async function serve(request: IncomingMessage, response: ServerResponse, serving: Serving): Promise<void> {
  const { metrics, now, log } = serving.options
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
    metrics.observe(answer.counted, now() - startedAt)
  } catch (cause) {
    // The caller has gone, or was too slow.
    log.debug({ err: cause }, 'a review ended early')
    metrics.observe('bad_request', now() - startedAt)
    request.destroy()
  }
}

async function answerTo(request: IncomingMessage, { options, isFull }: Serving): Promise<Answer> {
  const [path] = (request.url ?? '').split('?', 1)
  if (path !== '/mutate') return bad(404, 'ask POST /mutate')
  if (request.method !== 'POST') return bad(405, 'ask POST /mutate')
  if (isFull) return { status: 503, body: 'too many reviews at a time; try again\n', counted: 'too_many' }
  const [type = ''] = (request.headers['content-type'] ?? '').split(';', 1)
  if (type.trim().toLowerCase() !== 'application/json') return bad(415, 'want content-type: application/json')
  const text = await readBody(request)
  if (text === undefined) return bad(413, `want at most ${MOST_BYTES} bytes`)
  try {
    const review = readReview(text)
    const { verdict, outcome } = await admit(review, options)
    return { status: 200, body: formatReview(review.uid, verdict), counted: outcome }
  } catch (cause) {
    if (cause instanceof TypeError) return bad(400, cause.message)
    throw cause
  }
}

const bad = (status: number, why: string): Answer => ({ status, body: `${why}\n`, counted: 'bad_request' })

/** Undefined: too long. Rejects when the caller goes away. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > MOST_BYTES) return undefined
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MOST_BYTES) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
