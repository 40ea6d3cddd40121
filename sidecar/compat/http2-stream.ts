// One request and its answer as node:http2 has them.
import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import { NUMBER_OF_RESET, resetOfNumber } from '#flow/reset-code.ts'
import { type Fields, type HttpStream, NEVER_INDEXED, type ResetCode, type StreamEvents } from '#flow/stream.ts'
import { trailersOf } from './message-fields.ts'

const SILENT: StreamEvents = { onHead() {}, onData() {}, onTrailers() {}, onReset() {}, onDrain() {} }
const EMPTY = Buffer.alloc(0)
const PSEUDO = [':method', ':scheme', ':authority', ':path'] as const
/** RFC 9113 section 8.2.2. */
const OF_ONE_HOP = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
])

export class Http2Stream implements HttpStream {
  events: StreamEvents = SILENT
  readonly version = '2'
  #isOver = false
  #hasSentHead = false
  #isSent = false
  #isReceived = false
  #trailers: OutgoingHttpHeaders = {}
  #received: Fields | null = null
  readonly #stream: ServerHttp2Stream

  constructor(stream: ServerHttp2Stream, onOver: () => void) {
    this.#stream = stream
    // Its close follows.
    stream.on('error', () => {})
    stream.on('close', () => {
      onOver()
      this.onClosed()
    })
    stream.on('drain', () => this.events.onDrain())
    stream.on('wantTrailers', () => this.#write(() => stream.sendTrailers(this.#trailers)))
  }

  start(fields: Fields, end: boolean): void {
    const stream = this.#stream
    this.#isReceived = end
    this.events.onHead(fields, end)
    if (end) {
      stream.resume()
      return
    }
    stream.on('trailers', (_headers, _flags, trailers?: readonly string[]) => {
      this.#received = trailersOf(trailers ?? [])
    })
    stream.on('data', (chunk: Buffer) => {
      if (!this.#isOver) this.events.onData(chunk, 0, chunk.length, false)
    })
    stream.on('end', () => this.#onEnd())
  }

  #onEnd(): void {
    if (this.#isOver || this.#isReceived) return
    this.#isReceived = true
    if (this.#received !== null) this.events.onTrailers(this.#received)
    else this.events.onData(EMPTY, 0, 0, true)
    this.#settle()
  }

  sendHead(fields: Fields, end: boolean): void {
    if (this.#isOver || this.#hasSentHead || this.#stream.destroyed) return
    const headers = answerHeaders(fields)
    const status = Number(headers[':status'])
    // RFC 9113 section 8.6: there is no 101.
    if (status === 101) return
    this.#hasSentHead = status >= 200
    const isWritten = this.#write(() => {
      if (status < 200) this.#stream.additionalHeaders(headers)
      else this.#stream.respond(headers, { endStream: end, waitForTrailers: !end })
    })
    if (isWritten && end && this.#hasSentHead) this.#endSending()
  }

  /** An application may say what Node does not write, such as a status above 599: that ends the stream and nothing else. */
  #write(write: () => void): boolean {
    try {
      write()
      return true
    } catch {
      this.reset('internal')
      queueMicrotask(() => this.events.onReset('internal'))
      return false
    }
  }

  sendData(bytes: Uint8Array, from: number, to: number, end: boolean): boolean {
    if (this.#isOver || this.#isSent || !this.#hasSentHead) return true
    const goOn = to === from || this.#stream.write(Buffer.from(bytes.subarray(from, to)))
    if (end) this.#endSending()
    return goOn
  }

  sendTrailers(fields: Fields): void {
    if (this.#isOver || this.#isSent || !this.#hasSentHead) return
    this.#trailers = answerHeaders(fields)
    this.#endSending()
  }

  #endSending(): void {
    this.#isSent = true
    this.#stream.end()
    this.#settle()
  }

  reset(code: ResetCode): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#stream.close(NUMBER_OF_RESET[code])
  }

  pause(): void {
    this.#stream.pause()
  }

  resume(): void {
    this.#stream.resume()
  }

  onClosed(): void {
    if (this.#isOver) return
    this.#isOver = true
    const { rstCode } = this.#stream
    // Node says NO_ERROR, too, of a stream whose connection is gone.
    this.events.onReset(rstCode === constants.NGHTTP2_NO_ERROR ? 'closed' : resetOfNumber(rstCode))
  }

  #settle(): void {
    if (this.#isSent && this.#isReceived) this.#isOver = true
  }
}

/** Pseudo-fields first and all four of them; crumbs of Cookie become one again, as HTTP/1.1 wants it (RFC 9113 section 8.2.3). */
export function requestFields(raw: readonly string[]): Fields {
  const fields: Fields = PSEUDO.flatMap((name) => [name, rawValue(raw, name) ?? ''])
  if (fields[5] === '') fields[5] = rawValue(raw, 'host') ?? ''
  let cookie = -1
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string
    const value = raw[i + 1] as string
    if (name.startsWith(':') || name === 'host' || OF_ONE_HOP.has(name)) continue
    if (name === 'cookie' && cookie >= 0) fields[cookie] += `; ${value}`
    else fields.push(name, value)
    if (name === 'cookie' && cookie < 0) cookie = fields.length - 1
  }
  return fields
}

function rawValue(raw: readonly string[], name: string): string | undefined {
  for (let i = 0; i < raw.length; i += 2) if (raw[i] === name) return raw[i + 1]
  return undefined
}

function answerHeaders(fields: Fields): OutgoingHttpHeaders {
  // A name such as __proto__ is a name here.
  const headers: Record<string, string | string[]> = Object.create(null)
  for (let i = 0; i < fields.length; i += 2) {
    const name = (fields[i] as string).toLowerCase()
    const value = fields[i + 1] as string
    if (OF_ONE_HOP.has(name) || name === NEVER_INDEXED) continue
    const before = headers[name]
    headers[name] = before === undefined ? value : [before, value].flat()
  }
  return headers
}
