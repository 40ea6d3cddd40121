// Ends a stream so that its peer sees that it was cut. Under TLS that takes a reset of the TCP connection below: Node destroys
// a TLS socket with a plain end, and at the other side takes an end without TLS's closing alert for an orderly one.
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { resetSocket } from '#flow/reset.ts'

export function reset(stream: Duplex): void {
  if (stream.destroyed) return
  // What a TLSSocket wraps is private; should a later Node rename it, the stream is closed all the same.
  const below = 'encrypted' in stream ? (stream as { readonly _parent?: unknown })._parent : stream
  if (below instanceof Socket) resetSocket(below)
  stream.destroy()
}
