// Everything that a connection writes. All frames of one turn of the event loop leave in one write, from a buffer that is used
// again when the write is done. DATA waits while too much is under way; the other frames do not, being bounded by other limits.

import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { OUTPUT_BYTES, outputBuffers } from '#flow/buffer-pool.ts'

/** With this much under way no further DATA is added: what one stream queued here, another would have to wait for. */
const FULL_BYTES = 256 * 1024
const DRAINED_BYTES = 128 * 1024

export class Output {
  /** Where frames are written, from `at` on, after reserve(). */
  buffer: Buffer | null = null
  at = 0
  /** How often bytes were handed to the socket. */
  flushes = 0
  readonly #stream: Duplex
  readonly #onDrain: () => void
  readonly #flushNow: () => void
  #isScheduled = false
  #underWayBytes = 0
  #wasFull = false

  constructor(stream: Duplex, onDrain: () => void) {
    this.#stream = stream
    this.#onDrain = onDrain
    if (stream instanceof Socket) stream.setNoDelay(true)
    this.#flushNow = () => {
      this.#isScheduled = false
      this.flush()
    }
  }

  /** Handed to the socket and not taken yet, or still to be handed over. */
  get pendingBytes(): number {
    return this.#underWayBytes + this.at
  }

  get isFull(): boolean {
    if (this.#underWayBytes + this.at < FULL_BYTES) return false
    this.#wasFull = true
    return true
  }

  /** A buffer with that much room from `at` on; leaves with this turn's write. At most OUTPUT_BYTES. */
  reserve(bytes: number): Buffer {
    if (this.buffer !== null && this.at + bytes > OUTPUT_BYTES) this.flush()
    this.buffer ??= outputBuffers.take()
    if (!this.#isScheduled) {
      this.#isScheduled = true
      // Not at the next tick: what arrives in this turn of the loop is answered in one write (measured: 11.7 against 14.3 us).
      setImmediate(this.#flushNow)
    }
    return this.buffer
  }

  flush(): void {
    const { buffer, at } = this
    if (buffer === null) return
    this.buffer = null
    this.at = 0
    if (at === 0 || !this.#stream.writable) return outputBuffers.giveBack(buffer)
    this.flushes++
    this.#underWayBytes += at
    outputBuffers.write(this.#stream, buffer, at, () => this.#onWritten(at))
  }

  #onWritten(bytes: number): void {
    this.#underWayBytes -= bytes
    if (!this.#wasFull || this.pendingBytes > DRAINED_BYTES) return
    this.#wasFull = false
    this.#onDrain()
  }

  /** Our side is over once all is written. */
  end(): void {
    this.flush()
    this.#stream.end()
  }
}
