// Ends a socket with a reset. Node (26.10) loses a socket that is reset while its shutdown is under way: the handle stays open
// for good, and neither 'close' nor a second destroy() ever comes. A peer that ends and resets in one moment could so eat every
// descriptor of the process.
import type { Socket } from 'node:net'

export function resetSocket(socket: Socket): void {
  if (socket.destroyed) return
  // All is written by then and its end told: a reset would say nothing more.
  const isShuttingDown = socket.writableEnded && !socket.writableFinished && socket.writableLength === 0
  if (isShuttingDown) socket.destroy()
  else socket.resetAndDestroy()
}
