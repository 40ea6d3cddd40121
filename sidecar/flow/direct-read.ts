// Reads of a socket into one large buffer that all connections share: nothing is allocated for a read, and reads are large.
// Node offers this only to sockets that it dials itself (`onread` of net.connect), so this sets what `onread` would have set.
// Streams of another make, and a Node that has renamed these, are left to be read by 'data'.
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

// Twice as much is hardly faster, and what a stalled reader leaves in the process is of this size.
const SHARED = Buffer.allocUnsafeSlow(256 * 1024)
/**
 * Where what is read may have to be kept as a whole, as it is of a client that sends requests before it has its answers: some 64 KiB, and of
 * a body as much as four frames take that each fill a record of TLS.
 */
export const SHORT_READ_BYTES = 4 * (16_384 - 9)

interface Internals {
  readonly _handle?: { useUserBuffer?(buffer: Uint8Array): void } | null
  [name: symbol]: unknown
}

interface Names {
  readonly buffer: symbol
  readonly callback: symbol
}

let names: Names | null | undefined

/**
 * From now on every read calls `take` with bytes that are valid only until it returns; pause(), resume(), 'end', 'error' and
 * 'close' are as before. False: the stream cannot do it, or holds bytes that were read already, and nothing has changed.
 */
export function readDirectly(stream: Duplex, take: (bytes: Buffer) => void, sizeBytes = SHARED.length): boolean {
  if (!(stream instanceof Socket) || stream.destroyed || stream.readableLength > 0) return false
  const internals = stream as unknown as Internals
  const handle = internals._handle
  if (names === undefined) names = namesIn(stream)
  if (names === null || typeof handle?.useUserBuffer !== 'function') return false
  const buffer = SHARED.subarray(0, sizeBytes)
  handle.useUserBuffer(buffer)
  internals[names.buffer] = buffer
  internals[names.callback] = (size: number) => {
    take(buffer.subarray(0, size))
    // Node begins to read anew when resume() and pause() come within one turn.
    return !stream.isPaused()
  }
  return true
}

/** The private symbols of net.Socket, which every socket has from its birth. */
function namesIn(socket: Socket): Names | null {
  const find = (name: string) => Object.getOwnPropertySymbols(socket).find(({ description }) => description === name)
  const [buffer, callback] = [find('kBuffer'), find('kBufferCb')]
  return buffer === undefined || callback === undefined ? null : { buffer, callback }
}
