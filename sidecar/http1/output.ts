// Everything that a connection writes. Small pieces of one turn leave in one write, as one Latin-1 string: a string cannot
// change behind our back, and a head with a small body costs one system call. Large bodies are copied once and written.
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

/** Up to this a piece of a body joins the text; Node writes strings of up to 16 KiB without allocating. */
const JOIN_LIMIT_BYTES = 8 * 1024
const GATHER_LIMIT_BYTES = 16 * 1024

export class Output {
  readonly #stream: Duplex
  readonly #onTurnEnd: () => void
  #text = ''
  #isScheduled = false

  constructor(stream: Duplex) {
    this.#stream = stream
    // A head and its body may be two writes: the second must not wait for the acknowledgement of the first.
    if (stream instanceof Socket) stream.setNoDelay(true)
    this.#onTurnEnd = () => {
      this.#isScheduled = false
      this.flush()
    }
  }

  /** True while the peer takes less than we have; 'drain' of the stream follows. */
  get isFull(): boolean {
    return this.#stream.writableNeedDrain
  }

  /** Leaves with the next flush: whoever adds the last piece calls flush() or flushLater(). */
  add(text: string): void {
    this.#text += text
    if (this.#text.length > GATHER_LIMIT_BYTES) this.flush()
  }

  /** At the end of this turn, with whatever else is added until then. */
  flushLater(): void {
    if (this.#isScheduled || this.#text === '') return
    this.#isScheduled = true
    process.nextTick(this.#onTurnEnd)
  }

  /** The bytes are copied. */
  addBytes(bytes: Uint8Array, from: number, to: number): void {
    if (to - from <= JOIN_LIMIT_BYTES) return this.add(latin1(bytes, from, to))
    if (!this.#stream.writable) return
    const copy = Buffer.allocUnsafe(to - from)
    copy.set(from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to))
    this.#stream.cork()
    this.flush()
    this.#stream.write(copy)
    this.#stream.uncork()
  }

  flush(): void {
    if (this.#text === '') return
    const text = this.#text
    this.#text = ''
    if (this.#stream.writable) this.#stream.write(text, 'latin1')
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
