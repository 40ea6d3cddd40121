// Everything that a connection writes. Small pieces of one turn leave in one write, as one Latin-1 string: a string cannot
// change behind our back, and a head with a small body costs one system call. Large bodies are gathered in a buffer, since they
// come by the record of TLS and a write for each would cost more than to copy it.
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { OUTPUT_BYTES, outputBuffers } from '#flow/buffer-pool.ts'

/** Up to this a piece of a body joins the text; Node writes strings of up to 16 KiB without allocating. */
const JOIN_LIMIT_BYTES = 8 * 1024
const GATHER_LIMIT_BYTES = 16 * 1024

export class Output {
  readonly #stream: Duplex
  readonly #onTurnEnd: () => void
  readonly #onLoopEnd: () => void
  /** Leaves behind what is in the buffer. */
  #text = ''
  #buffer: Buffer | null = null
  /** Of the buffer, what is used. */
  #size = 0
  #isScheduled = false
  #isLoopScheduled = false

  constructor(stream: Duplex) {
    this.#stream = stream
    // A head and its body may be two writes: the second must not wait for the acknowledgement of the first.
    if (stream instanceof Socket) stream.setNoDelay(true)
    this.#onTurnEnd = () => {
      this.#isScheduled = false
      if (this.#buffer === null) this.flush()
    }
    this.#onLoopEnd = () => {
      this.#isLoopScheduled = false
      this.flush()
    }
  }

  /** True while the peer takes less than we have; 'drain' of the stream follows. */
  get isFull(): boolean {
    // What the kernel took at once is over, though its 'drain' is still to be told.
    return this.#stream.writableNeedDrain && this.#stream.writableLength > 0
  }

  /** Leaves with the next flush: whoever adds the last piece calls flush() or flushLater(). */
  add(text: string): void {
    this.#text += text
    if (this.#text.length > GATHER_LIMIT_BYTES) this.flush()
  }

  /** At the end of this turn, with whatever else is added until then. */
  flushLater(): void {
    if (this.#isScheduled || this.#text === '' || this.#buffer !== null) return
    this.#isScheduled = true
    process.nextTick(this.#onTurnEnd)
  }

  /** The bytes are copied. Large ones leave once a buffer is full, or all sockets that had something were read. */
  addBytes(bytes: Uint8Array, from: number, to: number): void {
    if (to - from <= JOIN_LIMIT_BYTES && this.#buffer === null) return this.add(latin1(bytes, from, to))
    this.#moveText()
    for (let at = from; at < to; ) {
      this.#buffer ??= outputBuffers.take()
      const size = Math.min(to - at, OUTPUT_BYTES - this.#size)
      this.#buffer.set(at === 0 && size === bytes.length ? bytes : bytes.subarray(at, at + size), this.#size)
      this.#size += size
      at += size
      if (this.#size === OUTPUT_BYTES) this.#flushBuffer()
    }
    if (this.#buffer === null || this.#isLoopScheduled) return
    this.#isLoopScheduled = true
    setImmediate(this.#onLoopEnd)
  }

  /** What was added before bytes leaves before them. */
  #moveText(): void {
    const text = this.#text
    if (text === '') return
    if (this.#size + text.length > OUTPUT_BYTES) this.#flushBuffer()
    if (text.length > OUTPUT_BYTES) return this.#flushText()
    this.#text = ''
    this.#buffer ??= outputBuffers.take()
    this.#size += this.#buffer.write(text, this.#size, 'latin1')
  }

  flush(): void {
    if (this.#buffer !== null) this.#moveText()
    this.#flushBuffer()
    this.#flushText()
  }

  #flushText(): void {
    const text = this.#text
    if (text === '') return
    this.#text = ''
    if (this.#stream.writable) this.#stream.write(text, 'latin1')
  }

  #flushBuffer(): void {
    const [buffer, size] = [this.#buffer, this.#size]
    if (buffer === null) return
    this.#buffer = null
    this.#size = 0
    if (!this.#stream.writable) return outputBuffers.giveBack(buffer)
    outputBuffers.write(this.#stream, buffer, size)
  }

  /** Our side is over once all is written. */
  end(): void {
    this.flush()
    this.#stream.end()
  }
}

function latin1(bytes: Uint8Array, from: number, to: number): string {
  const buffer = bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  return buffer.toString('latin1', from, to)
}
