// For the differential tests: the same bytes read by our codec and by Node's own parser, told in the same words.
import { Agent, createServer, type IncomingMessage, request } from 'node:http'
import { type Duplex, duplexPair } from 'node:stream'
import { fieldValue } from '#flow/fields.ts'
import { Heard } from '#flow/heard.fixture.ts'
import { connectHttp1 } from './client.ts'
import { serveHttp1 } from './server.ts'
import { requestTo } from './testing.ts'

/** One message as a reader understood it; fields in lower case, without those that are the hop's own. */
export interface Message {
  /** Method, scheme, authority and path; or the status. */
  start: string
  fields: string[]
  body: string
  trailers: string[]
  isComplete: boolean
}

export interface Reading {
  readonly messages: Message[]
  /** cut: the bytes ended within a message. */
  verdict: 'ok' | 'refused' | 'cut'
  /** Why it was refused, for people. */
  detail: string
}

/** Read by the hop itself or rewritten by it: Node leaves them in, we do not. */
const HOP = new Set(['host', 'transfer-encoding', 'upgrade', 'http2-settings'])
const HOP_TRAILERS = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'upgrade',
  'http2-settings',
])

/** Of an answer that has no body: a length there says nothing, and we drop it. */
const HOP_BODYLESS = new Set([...HOP, 'content-length'])
const hopOf = (status: number) => (status < 200 || status === 204 ? HOP_BODYLESS : HOP)

function endToEnd(fields: readonly string[], hop: ReadonlySet<string>): string[] {
  const kept: string[] = []
  for (let i = 0; i < fields.length; i += 2) {
    const name = (fields[i] as string).toLowerCase()
    if (!name.startsWith(':') && !hop.has(name)) kept.push(name, fields[i + 1] as string)
  }
  return kept
}

function feed(stream: Duplex, bytes: Buffer, cuts: readonly number[]): void {
  let from = 0
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    if (cut <= from || cut >= bytes.length) continue
    stream.write(bytes.subarray(from, cut))
    from = cut
  }
  stream.end(bytes.subarray(from))
}

function closed(stream: Duplex): Promise<void> {
  stream.on('error', () => {})
  stream.resume()
  return new Promise((resolve) => stream.once('close', resolve))
}

// ---- requests

export async function requestsByUs(bytes: Buffer, cuts: readonly number[] = []): Promise<Reading> {
  const reading: Reading = { messages: [], verdict: 'ok', detail: '' }
  const [near, far] = duplexPair()
  serveHttp1(far, null, {
    accept(stream) {
      const heard = new Heard()
      stream.events = heard
      const message: Message = { start: '', fields: [], body: '', trailers: [], isComplete: false }
      reading.messages.push(message)
      heard.onEvent = () => {
        const { head } = heard
        message.start = [head[1], head[3], head[5], head[7]].join(' ')
        message.fields = endToEnd(head, HOP)
        message.body = heard.body
        message.trailers = endToEnd(heard.trailers ?? [], HOP_TRAILERS)
        message.isComplete = heard.isEnded
        if (heard.reset === 'closed') reading.verdict = 'cut'
        if (heard.isEnded) stream.sendHead([':status', '200', 'Content-Length', '0'], true)
      }
    },
    onRefused(_code, detail) {
      reading.verdict = 'refused'
      reading.detail = detail
    },
    onClose() {},
  })
  const end = closed(near)
  feed(near, bytes, cuts)
  await end
  return reading
}

export async function requestsByNode(bytes: Buffer, requireHostHeader = true): Promise<Reading> {
  const reading: Reading = { messages: [], verdict: 'ok', detail: '' }
  const [near, far] = duplexPair()
  const server = createServer({
    insecureHTTPParser: false,
    requireHostHeader,
    maxHeaderSize: 64 * 1024,
    headersTimeout: 0,
    requestTimeout: 0,
  })
  const take = (incoming: IncomingMessage, answer: { end(): void }) => {
    reading.messages.push(collect(incoming, requestStart(incoming)))
    incoming.on('end', () => answer.end())
  }
  server.on('request', take).on('checkContinue', take).on('checkExpectation', take)
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    reading.verdict = error.code === 'HPE_INVALID_EOF_STATE' || error.code === 'ECONNRESET' ? 'cut' : 'refused'
    reading.detail = error.code ?? ''
    // What was read before the fault is told first.
    setImmediate(() => setImmediate(() => socket.destroy()))
  })
  // A Host that is missing is refused by the server behind the parser, with an answer and no request.
  let answered = ''
  near.on('data', (chunk: Buffer) => {
    answered += chunk.toString('latin1')
  })
  const end = closed(near)
  server.emit('connection', far)
  feed(near, bytes, [])
  await end
  server.close()
  if (/^HTTP\/1\.1 (?:400|431|505)/m.test(answered)) reading.verdict = 'refused'
  return reading
}

function requestStart(incoming: IncomingMessage): string {
  const { method = '', url = '' } = incoming
  const absolute = /^(https?):\/\/([^/?]*)(.*)$/is.exec(url)
  const host = fieldValue(incoming.rawHeaders, 'host') ?? ''
  if (absolute === null) return `${method} http ${host} ${url}`
  const [, scheme = '', authority, path = ''] = absolute
  const target = path === '' && method === 'OPTIONS' ? '*' : path.startsWith('/') ? path : `/${path}`
  return `${method} ${scheme.toLowerCase()} ${authority} ${target}`
}

function collect(incoming: IncomingMessage, start: string): Message {
  const fields = endToEnd(incoming.rawHeaders, hopOf(incoming.statusCode ?? 200))
  const message: Message = { start, fields, body: '', trailers: [], isComplete: false }
  incoming.on('data', (chunk: Buffer) => {
    message.body += chunk.toString('latin1')
  })
  incoming.on('error', () => {})
  incoming.on('end', () => {
    message.trailers = endToEnd(incoming.rawTrailers, HOP_TRAILERS)
    message.isComplete = incoming.complete
  })
  return message
}

// ---- responses: 1xx heads and the final answer to one request

export async function responseByUs(bytes: Buffer, method: string, cuts: readonly number[] = []): Promise<Reading> {
  const reading: Reading = { messages: [], verdict: 'cut', detail: '' }
  const [near, far] = duplexPair()
  const connection = connectHttp1(far)
  const heard = new Heard()
  heard.onEvent = () => {
    noteAnswer(reading.messages, heard)
    if (heard.isEnded) reading.verdict = 'ok'
    else if (heard.reset !== null) reading.verdict = heard.reset === 'protocol' ? 'refused' : 'cut'
  }
  const stream = connection.open(heard)
  stream.sendHead(requestTo('/', method), true)
  const end = closed(near)
  feed(near, bytes, cuts)
  await heard.ended()
  connection.destroy()
  near.destroy()
  await end
  return reading
}

function noteAnswer(messages: Message[], heard: Heard): void {
  if (heard.heads.length > messages.length) {
    const fields = endToEnd(heard.head, hopOf(heard.status))
    messages.push({ start: heard.head[1] ?? '', fields, body: '', trailers: [], isComplete: heard.status < 200 })
  }
  const last = messages.at(-1)
  if (last === undefined) return
  last.body = heard.body
  last.trailers = endToEnd(heard.trailers ?? [], HOP_TRAILERS)
  if (heard.isEnded) last.isComplete = true
}

export async function responseByNode(bytes: Buffer, method: string): Promise<Reading> {
  const reading: Reading = { messages: [], verdict: 'cut', detail: '' }
  const [near, far] = duplexPair()
  const agent = new Agent()
  agent.createConnection = () => far
  const sent = request({ method, host: 'shop', agent, insecureHTTPParser: false, maxHeaderSize: 64 * 1024 })
  const end = closed(near)
  await new Promise<void>((resolve) => {
    sent.on('information', (info) => {
      const fields = endToEnd(info.rawHeaders, HOP_BODYLESS)
      reading.messages.push({ start: String(info.statusCode), fields, body: '', trailers: [], isComplete: true })
    })
    sent.on('response', (incoming) => {
      const message = collect(incoming, String(incoming.statusCode))
      reading.messages.push(message)
      incoming.on('close', () => {
        if (message.isComplete) reading.verdict = 'ok'
        resolve()
      })
    })
    sent.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code?.startsWith('HPE_') === true && error.code !== 'HPE_INVALID_EOF_STATE') reading.verdict = 'refused'
      reading.detail = error.code ?? ''
      resolve()
    })
    sent.on('upgrade', (incoming, socket) => {
      reading.messages.push(collect(incoming, '101'))
      socket.destroy()
      resolve()
    })
    sent.end()
    feed(near, bytes, [])
  })
  sent.destroy()
  near.destroy()
  await end
  return reading
}
