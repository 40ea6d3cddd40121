// What the peer may send on the connection as a whole. It is refunded on receipt, in large steps: a stream that is held back must
// not hold back the others, and how much of it waits is what its own window bounds.
import { flowError } from './faults.ts'
import { writeWindowUpdate } from './frames.ts'
import type { Output } from './output.ts'
import { INITIAL_WINDOW_BYTES } from './protocol.ts'

export class ConnectionWindow {
  readonly #output: Output
  readonly #sizeBytes: number
  #left = INITIAL_WINDOW_BYTES
  #unrefundedBytes = 0

  constructor(output: Output, sizeBytes: number) {
    this.#output = output
    this.#sizeBytes = Math.max(sizeBytes, INITIAL_WINDOW_BYTES)
  }

  /** With the first SETTINGS. */
  open(): void {
    if (this.#sizeBytes > this.#left) writeWindowUpdate(this.#output, 0, this.#sizeBytes - this.#left)
    this.#left = this.#sizeBytes
  }

  /** Throws ConnectionFault when the peer sends more than it may. */
  receive(bytes: number): void {
    this.#left -= bytes
    if (this.#left < 0) throw flowError('DATA beyond the window of the connection')
    this.#unrefundedBytes += bytes
    if (this.#unrefundedBytes * 2 < this.#sizeBytes) return
    writeWindowUpdate(this.#output, 0, this.#unrefundedBytes)
    this.#left += this.#unrefundedBytes
    this.#unrefundedBytes = 0
  }
}
