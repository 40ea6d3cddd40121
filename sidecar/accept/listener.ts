// The listening sockets of one direction: one per address family, since SO_ORIGINAL_DST is asked per family.
import { createServer, type Server, type Socket } from 'node:net'
import type { Accepted, Direction } from '#flow/connection.ts'
import type { Handler } from '#flow/layer.ts'

export interface ListenerOptions {
  readonly direction: Direction
  readonly port: number
  readonly handler: Handler<Accepted, void>
}

export interface Listener {
  readonly port: number
  /** Connections that are open. */
  readonly open: number
  /** Connections since the start. */
  readonly accepted: number
  /** No new ones; those that are open go on. */
  close(): void
  /** Ends what is open. */
  destroy(): void
}

const BACKLOG = 4096

/** Rejects when IPv4 cannot be listened on; a machine without IPv6 is served on IPv4 alone. */
export async function startListener(options: ListenerOptions): Promise<Listener> {
  const sockets = new Set<Socket>()
  const ending = new AbortController()
  let accepted = 0
  const accept = (socket: Socket) => {
    accepted++
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    // Errors reach whoever reads or writes; without a listener the process would die of one.
    socket.on('error', () => {})
    void options.handler({ socket, direction: options.direction, signal: ending.signal })
  }
  const v4 = await listen('0.0.0.0', options.port, accept)
  const port = (v4.address() as { port: number }).port
  const v6 = await listen('::', port, accept).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EAFNOSUPPORT' || error.code === 'EADDRNOTAVAIL') return null
    throw error
  })
  return {
    port,
    get open() {
      return sockets.size
    },
    get accepted() {
      return accepted
    },
    close() {
      v4.close()
      v6?.close()
    },
    destroy() {
      ending.abort()
      for (const socket of sockets) socket.destroy()
    },
  }
}

function listen(host: string, port: number, accept: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    // Half-close is kept (a client may end its half and still read); the first read waits until someone asks.
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, accept)
    server.once('error', reject)
    server.listen({ host, port, ipv6Only: host === '::', backlog: BACKLOG }, () => resolve(server))
  })
}
