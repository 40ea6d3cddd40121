// OTLP over HTTP (the protocol's specification, "OTLP/HTTP"): POST /v1/traces with protobuf or JSON, plain or gzip.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import type { Address } from '#shared/address.ts'
import { loadContract } from '#shared/contract/load.ts'
import type { ExportTraceServiceRequest, ExportTraceServiceResponse } from '#shared/contract/otlp-trace.ts'
import { limitSources } from '#shared/limit-sources.ts'
import type { Receiver } from './grpc-receiver.ts'
import { MAX_REQUEST_BYTES, receiveSpans } from './receive.ts'
import type { TraceRing } from './ring.ts'

const MAX_CONNECTIONS = 512
const MAX_CONNECTIONS_PER_SOURCE = 32
/** Bodies that are being read at one time, over all connections. */
const MAX_PENDING_BYTES = 64 * 1024 * 1024
const TIMEOUTS = { headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 60_000 }
const inflate = promisify(gunzip)

/** A request that is refused with this HTTP status. */
class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly status: number

  constructor(status: number, text: string, options?: ErrorOptions) {
    super(text, options)
    this.status = status
  }
}

interface Encoding {
  read(body: Buffer): ExportTraceServiceRequest
  write(response: ExportTraceServiceResponse): Buffer
}

function encodings(): Readonly<Record<string, Encoding>> {
  const method = loadContract('otlp-trace').service['Export']
  if (method === undefined) throw new Error('the contract has no Export')
  return {
    'application/x-protobuf': {
      read: (body) => method.requestDeserialize(body) as ExportTraceServiceRequest,
      write: (response) => method.responseSerialize(response),
    },
    'application/json': {
      read(body) {
        const value: unknown = JSON.parse(body.toString('utf8'))
        if (typeof value !== 'object' || value === null) throw new TypeError('the body is no object')
        return value as ExportTraceServiceRequest
      },
      write: (response) => Buffer.from(JSON.stringify(response)),
    },
  }
}

/** Port 0 takes a free one. Rejects when an address cannot be had. */
export async function startHttpReceiver(addresses: readonly Address[], ring: TraceRing): Promise<Receiver> {
  const known = encodings()
  const budget = { pending: 0 }
  const servers: Server[] = []
  const close = async () => {
    await Promise.all(
      servers.map((server) => {
        const closed = once(server, 'close')
        server.close()
        server.closeAllConnections()
        return closed
      }),
    )
  }
  const bound: Address[] = []
  try {
    for (const { host, port } of addresses) {
      const server = createServer(
        TIMEOUTS,
        (request, response) => void answer(request, response, { known, budget, ring }),
      )
      server.maxConnections = MAX_CONNECTIONS
      limitSources(server, MAX_CONNECTIONS_PER_SOURCE)
      server.listen(port, host)
      await once(server, 'listening')
      servers.push(server)
      const at = server.address()
      bound.push({ host, port: typeof at === 'object' && at !== null ? at.port : port })
    }
  } catch (error) {
    await close()
    throw error
  }
  return { addresses: bound, close }
}

interface Parts {
  readonly known: Readonly<Record<string, Encoding>>
  readonly budget: { pending: number }
  readonly ring: TraceRing
}

/** Never rejects. */
async function answer(request: IncomingMessage, response: ServerResponse, parts: Parts): Promise<void> {
  try {
    const { type, encoding } = checkHead(request, parts.known)
    const body = await readBody(request, parts.budget)
    const plain = request.headers['content-encoding'] === 'gzip' ? await unpack(body) : body
    const answered = receiveSpans(parts.ring, decode(encoding, plain))
    response.writeHead(200, { 'content-type': type }).end(encoding.write(answered))
  } catch (error) {
    const status = error instanceof Refusal ? error.status : 400
    const text = error instanceof Error ? error.message : String(error)
    // What is left of the body is not read, so the connection cannot go on.
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', connection: 'close' }).end(`${text}\n`)
  }
}

function checkHead(request: IncomingMessage, known: Parts['known']): { type: string; encoding: Encoding } {
  const { method, url, headers } = request
  if (url?.split('?')[0] !== '/v1/traces') throw new Refusal(404, 'the one path here is /v1/traces')
  if (method !== 'POST') throw new Refusal(405, 'spans are sent by POST')
  const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase() ?? ''
  const encoding = Object.hasOwn(known, type) ? known[type] : undefined
  if (encoding === undefined) throw new Refusal(415, `content-type must be one of ${Object.keys(known).join(', ')}`)
  if (!['gzip', 'identity', undefined].includes(headers['content-encoding'])) {
    throw new Refusal(415, 'content-encoding must be gzip or identity')
  }
  return { type, encoding }
}

async function readBody(request: IncomingMessage, budget: { pending: number }): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length
      budget.pending += chunk.length
      if (size > MAX_REQUEST_BYTES) throw new Refusal(413, `a request may have ${MAX_REQUEST_BYTES} bytes`)
      if (budget.pending > MAX_PENDING_BYTES) throw new Refusal(503, 'too many requests at once')
      chunks.push(chunk)
    }
    return Buffer.concat(chunks, size)
  } finally {
    budget.pending -= size
  }
}

async function unpack(body: Buffer): Promise<Buffer> {
  try {
    return await inflate(body, { maxOutputLength: MAX_REQUEST_BYTES })
  } catch (error) {
    const isTooLarge = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
    const refusal = isTooLarge
      ? new Refusal(413, `an unpacked request may have ${MAX_REQUEST_BYTES} bytes`)
      : new Refusal(400, 'the body is no gzip', { cause: error })
    throw refusal
  }
}

function decode(encoding: Encoding, body: Buffer): ExportTraceServiceRequest {
  try {
    return encoding.read(body)
  } catch (error) {
    const refusal = new Refusal(400, 'the body cannot be decoded', { cause: error })
    throw refusal
  }
}
