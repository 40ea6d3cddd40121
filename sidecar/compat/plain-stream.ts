// A stream that Node's HTTP classes may have: it begins with bytes that were read before, and it hides the socket. Given the socket
// itself they would read from its handle past those bytes.
import { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { resetSocket } from '#flow/reset.ts'

/** After our last byte the peer has this long to read it and close. */
const LINGER_MS = 5_000

export class PlainStream extends Duplex {
  readonly #inner: Duplex
  /** No byte has come since its user last set it. */
  isQuiet = true
  #onWritten: (() => void) | null = null
  #lingering: NodeJS.Timeout | null = null

  constructor(inner: Duplex, head: Uint8Array | null) {
    super({ allowHalfOpen: true })
    this.#inner = inner
    // Nobody awaits the errors of either: what follows them is the close.
    this.on('error', () => {})
    inner.on('error', () => {})
    inner.allowHalfOpen = true
    if (head !== null && head.length > 0) {
      this.isQuiet = false
      this.push(Buffer.from(head))
    }
    inner.on('data', (chunk: Buffer) => {
      this.isQuiet = false
      if (!this.push(chunk)) inner.pause()
    })
    inner.on('end', () => this.push(null))
    inner.on('drain', () => this.#proceed())
    inner.on('close', () => this.destroy())
    if (inner.readableEnded) this.push(null)
    if (inner.closed) process.nextTick(() => this.destroy())
  }

  override _read(): void {
    this.#inner.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    if (this.#inner.destroyed || this.#inner.writableEnded) return callback(new Error('closed'))
    if (this.#inner.write(chunk)) return callback()
    this.#onWritten = callback
  }

  override _final(callback: (error?: Error | null) => void): void {
    // Not finished before the kernel has it all: what follows is the close of both.
    this.#onWritten = callback
    this.#inner.end(() => this.#proceed())
  }

  override _destroy(_error: Error | null, callback: (error?: Error | null) => void): void {
    if (this.#lingering !== null) clearTimeout(this.#lingering)
    this.#inner.destroy()
    this.#proceed()
    callback(null)
  }

  #proceed(): void {
    const written = this.#onWritten
    this.#onWritten = null
    written?.()
  }

  /** Ends it so that what was sent cannot look complete: with a reset where there is a socket to send one. */
  cut(): void {
    const inner = this.#inner
    if (inner instanceof Socket && !('encrypted' in inner)) resetSocket(inner)
    this.destroy()
  }

  /** Ends our side. A socket closed over unread bytes would send a reset, which can overtake the answer: so the peer closes, or time. */
  destroySoon(): void {
    if (this.#lingering !== null || this.destroyed) return
    this.#lingering = setTimeout(() => this.destroy(), LINGER_MS)
    this.end()
    this.on('end', () => this.destroy())
    // What comes now is nobody's.
    this.on('data', () => {})
    if (this.readableEnded) this.once('finish', () => this.destroy())
  }

  // What Node's HTTP classes ask of a socket. Deadlines and socket options are the data path's.
  setTimeout(): this {
    return this
  }
  setNoDelay(): this {
    return this
  }
  setKeepAlive(): this {
    return this
  }
  ref(): this {
    return this
  }
  unref(): this {
    return this
  }
}
