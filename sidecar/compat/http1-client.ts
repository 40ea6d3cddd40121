// The opening side of the Compat engine: requests to an application, one at a time on a connection, forwarded by http2-proxy.
import { Agent, type ClientRequest, request } from 'node:http'
import type { Duplex } from 'node:stream'
import type { HttpClientConnection, HttpStream, StreamEvents } from '#flow/stream.ts'
import { ClientStream, type ClientStreamOwner } from './client-stream.ts'
import { HEAD_LIMIT_BYTES } from './http1-server.ts'
import { PlainStream } from './plain-stream.ts'

/** Takes over a stream that is connected and silent. */
export function connectCompat(stream: Duplex): HttpClientConnection {
  return new CompatClient(stream)
}

/** Of one connection, which it hands out and takes back. */
class OneConnectionAgent extends Agent {
  readonly #stream: Duplex

  constructor(stream: Duplex) {
    super({ keepAlive: true, maxSockets: 1 })
    this.#stream = stream
  }

  override createConnection(): Duplex {
    return this.#stream
  }
}

class CompatClient implements HttpClientConnection, ClientStreamOwner {
  onIdle: () => void = () => {}
  onCapacity: () => void = () => {}
  onLeaving: () => void = () => {}
  onGone: () => void = () => {}
  readonly #plain: PlainStream
  readonly #agent: OneConnectionAgent
  #current: ClientStream | null = null
  #isGone = false
  #closes = false
  /** False while Node still holds the connection for the former request. */
  #isFree = true
  /** A byte that no request asked for would be read as the answer to the next one. */
  readonly #onStray = () => this.destroy()

  constructor(stream: Duplex) {
    this.#plain = new PlainStream(stream, null)
    this.#agent = new OneConnectionAgent(this.#plain)
    this.#agent.on('free', () => this.#onFree())
    this.#plain.on('data', this.#onStray)
    this.#plain.on('end', this.#onStray)
    this.#plain.on('close', () => this.#onClose())
  }

  get isLeaving(): boolean {
    return this.#closes || this.#isGone || this.#plain.destroyed
  }

  get isIdle(): boolean {
    return this.#current === null && this.#isFree && !this.isLeaving
  }

  get capacity(): number {
    return this.isIdle ? 1 : 0
  }

  get active(): number {
    return this.#current === null ? 0 : 1
  }

  open(events: StreamEvents): HttpStream {
    const stream = new ClientStream(this, events)
    if (!this.isIdle) {
      stream.isOver = true
      queueMicrotask(() => stream.events.onReset('closed'))
      return stream
    }
    this.#current = stream
    return stream
  }

  request(method: string, path: string): ClientRequest {
    this.#isFree = false
    this.#plain.off('data', this.#onStray)
    this.#plain.off('end', this.#onStray)
    return request({ agent: this.#agent, method, path, setHost: false, maxHeaderSize: HEAD_LIMIT_BYTES })
  }

  onOver(stream: ClientStream, closes: boolean): void {
    if (stream !== this.#current) return
    this.#current = null
    if (closes || this.#closes) this.destroy()
    else this.#tellIdle()
  }

  #onFree(): void {
    this.#isFree = true
    this.#plain.on('data', this.#onStray)
    this.#plain.on('end', this.#onStray)
    this.#tellIdle()
  }

  #tellIdle(): void {
    if (this.isIdle) this.onCapacity()
    if (this.isIdle) this.onIdle()
  }

  onLast(stream: ClientStream): void {
    if (stream !== this.#current || this.#closes) return
    this.#closes = true
    this.onLeaving()
  }

  drain(): void {
    if (this.#current === null) this.destroy()
    else this.onLast(this.#current)
  }

  destroy(): void {
    this.#plain.destroy()
  }

  #onClose(): void {
    if (this.#isGone) return
    this.#isGone = true
    this.#agent.destroy()
    const stream = this.#current
    this.#current = null
    stream?.onClosed()
    this.onGone()
  }
}
