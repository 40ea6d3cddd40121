// One request to the application and its answer. http2-proxy moves the body and minds errors and ends; the heads are ours, so that
// names keep their case, fields their order and Host its value.
import type { ClientRequest, IncomingMessage } from 'node:http'
import proxy, { type http1WebOptions, type wsHttp1Options } from 'http2-proxy'
import { consistsOf, VALUE } from '#flow/characters.ts'
import { fieldValue, sameName } from '#flow/fields.ts'
import type { Fields, HttpStream, ResetCode, StreamEvents } from '#flow/stream.ts'
import { ForwardedRequest, ForwardedResponse, TunnelEnd } from './forwarded.ts'
import { answerHead, isWithoutBody, pairsOf, trailersOf, unframed } from './message-fields.ts'
import { FIELD_LIMIT } from './request-fields.ts'
import { isRequest } from './sendable.ts'

export interface ClientStreamOwner {
  /** Sends a head on the connection. */
  request(method: string, path: string): ClientRequest
  /** The connection ends with this exchange. */
  onLast(stream: ClientStream): void
  /** The exchange is over on this connection, or the connection must close. */
  onOver(stream: ClientStream, closes: boolean): void
}

interface Interim {
  readonly statusCode: number
  readonly rawHeaders: readonly string[]
}

const EMPTY = Buffer.alloc(0)
/** Heads of 1xx answers to one request, summed: nothing holds their sender back. */
const INTERIM_LIMIT_BYTES = 1024 * 1024
/** Of http2-proxy: a body of these is thrown away while its length is forwarded. policy/refuse-compat.ts refuses them before. */
const BODYLESS = new Set(['GET', 'HEAD', 'OPTIONS'])
const EXPECTS_LENGTH = new Set(['POST', 'PUT', 'PATCH'])

export class ClientStream implements HttpStream {
  readonly version = '1.1'
  events: StreamEvents
  isOver = false
  hasSentHead = false
  #isSent = false
  #isReceived = false
  #isTunnel = false
  #method = ''
  readonly #owner: ClientStreamOwner
  #body: ForwardedRequest | null = null
  #tunnel: TunnelEnd | null = null
  #request: ClientRequest | null = null
  #answer: IncomingMessage | null = null
  #trailers: [string, string][] | null = null
  /** Bytes of the body that are still to come; -1: no length was declared. */
  #toCome = -1
  #interimBytes = 0
  /** The source was told to stop. */
  #isFull = false
  #end: () => void = () => {}

  constructor(owner: ClientStreamOwner, events: StreamEvents) {
    this.#owner = owner
    this.events = events
  }

  sendHead(fields: Fields, end: boolean): void {
    if (this.isOver || this.hasSentHead) return
    this.hasSentHead = true
    const [, method = '', , , , , , path = '/'] = fields
    this.#method = method
    if (!isRequest(fields, end) || (!end && BODYLESS.has(method))) return this.#fail('internal')
    // http2-proxy carries no other protocol; a request that asks for another is one without (RFC 9110 section 7.8).
    const isTunnel = method === 'GET' && fieldValue(fields, 'upgrade')?.toLowerCase() === 'websocket'
    const headers = requestHeaders(fields, { method, end, isTunnel })
    const body = new ForwardedRequest(method, path, isTunnel ? { upgrade: 'websocket' } : {})
    body.onWanted = () => this.#onWanted()
    this.#body = body
    const onReq = async () => this.#open(path, headers)
    const onRes = async (_request: unknown, _response: unknown, answer: IncomingMessage) => this.#onAnswer(answer)
    const forwarded = isTunnel ? this.#forwardTunnel(body, { onReq, onRes }) : this.#forwardWeb(body, { onReq, onRes })
    forwarded.catch((error: NodeJS.ErrnoException) => this.#onError(error))
    if (end) this.#endSending()
  }

  async #forwardWeb(body: ForwardedRequest, how: object): Promise<void> {
    const response = new ForwardedResponse()
    this.#end = () => response.emit('finish')
    await proxy.web(body as never, response as never, how as http1WebOptions)
  }

  async #forwardTunnel(body: ForwardedRequest, how: object): Promise<void> {
    const tunnel = new TunnelEnd()
    this.#tunnel = tunnel
    tunnel.onWanted = () => this.#onWanted()
    tunnel.onBytes = (bytes) => this.events.onData(bytes, 0, bytes.length, false)
    tunnel.onFinal = () => this.#onReceived()
    this.#end = () => tunnel.emit('close')
    await proxy.ws(body as never, tunnel as never, EMPTY, how as wsHttp1Options)
  }

  /** Before http2-proxy's own listeners, so that a head is told before the bytes behind it. */
  #open(path: string, headers: readonly [string, string][]): ClientRequest {
    const request = this.#owner.request(this.#method, path)
    if (this.isOver) {
      request.destroy()
      return request
    }
    this.#request = request
    // Node would drop further fields without a word; we count them.
    request.maxHeadersCount = 0
    for (const [name, value] of headers) request.appendHeader(name, value)
    // Node shall write none of its own.
    if (this.#tunnel === null) request.removeHeader('connection')
    // A head without a body goes out at once: the answer may come first.
    request.flushHeaders()
    if (this.#trailers !== null) request.addTrailers(this.#trailers)
    request.on('error', (error) => this.#onError(error))
    request.on('information', (interim: Interim) => this.#onInterim(interim))
    request.on('upgrade', ({ rawHeaders }: IncomingMessage) => {
      if (this.isOver) return
      if (this.#tunnel === null) return this.#fail('protocol')
      this.#isTunnel = true
      this.#isSent = false
      this.events.onHead([':status', '101', ...rawHeaders], false)
    })
    request.on('close', () => this.#settle())
    return request
  }

  #onInterim({ statusCode, rawHeaders }: Interim): void {
    if (this.isOver || statusCode === 101) return
    this.#interimBytes += 20 + rawHeaders.reduce((sum, text) => sum + text.length + 2, 0)
    if (this.#interimBytes > INTERIM_LIMIT_BYTES) return this.#fail('protocol')
    this.events.onHead(answerHead(statusCode, rawHeaders), false)
  }

  #onAnswer(answer: IncomingMessage): void {
    if (this.isOver) return
    if (!isPlausible(answer)) return this.#fail('protocol')
    this.#answer = answer
    const { statusCode = 0, headers } = answer
    const isBodyless = isWithoutBody(statusCode, this.#method) || headers['content-length'] === '0'
    if (!isBodyless) this.#toCome = Number(headers['content-length'] ?? -1)
    answer.on('data', (chunk: Buffer) => this.#onAnswerData(chunk))
    answer.on('end', () => this.#onReceived())
    this.#isReceived = isBodyless
    // A request to upgrade that was turned down too: servers differ on whether what follows it is HTTP.
    if (this.#request?.shouldKeepAlive === false || this.#tunnel !== null) this.#owner.onLast(this)
    this.events.onHead(answerHead(statusCode, answer.rawHeaders), isBodyless)
  }

  #onAnswerData(chunk: Buffer): void {
    if (this.isOver || this.#isReceived) return
    if (this.#toCome >= 0) this.#toCome -= chunk.length
    this.#isReceived = this.#toCome === 0
    this.events.onData(chunk, 0, chunk.length, this.#isReceived)
  }

  #onReceived(): void {
    if (this.isOver) return
    if (!this.#isReceived) {
      this.#isReceived = true
      const trailers = trailersOf(this.#answer?.rawTrailers ?? [])
      if (trailers === null) return this.#fail('protocol')
      if (trailers.length > 0) this.events.onTrailers(trailers)
      else this.events.onData(EMPTY, 0, 0, true)
    }
    // Node tells of a connection that is not kept only when it is closed, which is ours to do.
    if (this.#isTunnel || this.#request?.shouldKeepAlive === false) this.#settle()
  }

  sendData(bytes: Uint8Array, from: number, to: number, end: boolean): boolean {
    if (this.isOver || this.#isSent || !this.hasSentHead) return true
    const sink = this.#isTunnel ? this.#tunnel : this.#body
    const goOn = to === from || sink?.push(Buffer.from(bytes.subarray(from, to))) !== false
    this.#isFull = !goOn
    if (end) this.#endSending()
    return goOn
  }

  sendTrailers(fields: Fields): void {
    if (this.isOver || this.#isSent) return
    this.#trailers = pairsOf(fields)
    // http2-proxy opens its request a moment after the head.
    this.#request?.addTrailers(this.#trailers)
    this.#endSending()
  }

  #endSending(): void {
    this.#isSent = true
    if (this.#isTunnel) this.#tunnel?.push(null)
    else this.#body?.push(null)
    if (this.#isTunnel) this.#settle()
  }

  #onWanted(): void {
    // Never within the call that fills the buffer.
    process.nextTick(() => {
      if (this.isOver || !this.#isFull) return
      this.#isFull = false
      this.events.onDrain()
    })
  }

  #settle(): void {
    if (!this.#isSent || !this.#isReceived || this.isOver) return
    this.isOver = true
    this.#end()
    this.#owner.onOver(this, this.#tunnel !== null || this.#request?.shouldKeepAlive === false)
  }

  #onError({ code = '' }: NodeJS.ErrnoException): void {
    this.#fail(code.startsWith('HPE_') ? 'protocol' : 'closed')
  }

  #fail(code: ResetCode): void {
    if (this.isOver) return
    this.isOver = true
    queueMicrotask(() => this.events.onReset(code))
    this.#end()
    this.#owner.onOver(this, true)
  }

  reset(_code: ResetCode): void {
    // All has passed: Node gives the connection back by itself.
    if (this.isOver || (this.#isSent && this.#isReceived && !this.#isTunnel)) return
    this.isOver = true
    this.#end()
    this.#owner.onOver(this, true)
  }

  onClosed(): void {
    if (this.isOver || this.#isReceived) return
    this.isOver = true
    this.events.onReset('closed')
  }

  pause(): void {
    if (this.#isTunnel) this.#tunnel?.hold()
    else this.#answer?.pause()
  }

  resume(): void {
    if (this.#isTunnel) this.#tunnel?.release()
    else this.#answer?.resume()
  }
}

interface Sent {
  readonly method: string
  readonly end: boolean
  readonly isTunnel: boolean
}

/** In their order and case, with one framing; Host as the caller had it. */
function requestHeaders(all: Fields, { method, end, isTunnel }: Sent): readonly [string, string][] {
  const { fields, length } = unframed(all)
  const headers: string[] = ['Host', all[5] ?? '']
  for (let i = 0; i < fields.length; i += 2)
    if (isTunnel || !sameName(fields[i] as string, 'upgrade'))
      headers.push(fields[i] as string, fields[i + 1] as string)
  if (length !== undefined) headers.push('Content-Length', length)
  if (isTunnel) headers.push('Connection', 'Upgrade')
  else if (length === undefined && !end) headers.push('Transfer-Encoding', 'chunked')
  else if (length === undefined && EXPECTS_LENGTH.has(method)) headers.push('Content-Length', '0')
  return pairsOf(headers)
}

/** What Node's parser lets through and could not be passed on as it was meant. */
function isPlausible({ statusCode = 0, statusMessage = '', httpVersion, rawHeaders }: IncomingMessage): boolean {
  // http2-proxy has taken it out of `headers`.
  const coding = fieldValue(rawHeaders, 'transfer-encoding')
  if (coding !== undefined && (coding.toLowerCase() !== 'chunked' || httpVersion === '1.0')) return false
  const isVersion = httpVersion === '1.1' || httpVersion === '1.0'
  return isVersion && statusCode >= 200 && consistsOf(statusMessage, VALUE) && rawHeaders.length <= 2 * FIELD_LIMIT
}
