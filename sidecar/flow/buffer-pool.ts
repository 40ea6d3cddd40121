// Buffers for bytes on their way out, used again once these are gone. All connections share them, so that an idle one holds none;
// what is kept beyond a burst has a limit.
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

export class BufferPool {
  readonly #sizeBytes: number
  readonly #most: number
  readonly #free: Buffer[] = []

  /** Of buffers of one size, of which it keeps at most so many that nobody uses. */
  constructor(sizeBytes: number, most: number) {
    this.#sizeBytes = sizeBytes
    this.#most = most
  }

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#sizeBytes)
  }

  giveBack(buffer: Buffer): void {
    if (this.#free.length < this.#most) this.#free.push(buffer)
  }

  /** Writes the beginning of a buffer of this pool, which comes back as soon as nobody looks at it any more. */
  write(stream: Duplex, buffer: Buffer, sizeBytes: number, onWritten: () => void = () => {}): void {
    const bytes = sizeBytes === buffer.length ? buffer : buffer.subarray(0, sizeBytes)
    if (isDoneWhenWritten(stream)) {
      stream.write(bytes, () => {
        this.giveBack(buffer)
        onWritten()
      })
      return
    }
    stream.write(Buffer.from(bytes), onWritten)
    this.giveBack(buffer)
  }
}

/**
 * A socket has handed the bytes to the kernel, or encrypted them, when it calls back. A stream within this process (duplexPair) calls back
 * while its other end may still hold these very bytes: used again they would be read as what another connection has written.
 */
const isDoneWhenWritten = (stream: Duplex): boolean => stream instanceof Socket

/** Four frames of HTTP/2 of the largest size. */
export const OUTPUT_BYTES = 64 * 1024 + 64
/** For what is written at a time; given back when the kernel, or TLS, has taken it. */
export const outputBuffers = new BufferPool(OUTPUT_BYTES, 32)
