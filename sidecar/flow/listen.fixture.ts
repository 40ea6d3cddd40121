// For tests of the codecs: a TCP server whose sockets end with it.
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'

export interface Listener extends AsyncDisposable {
  readonly port: number
  readonly sockets: Socket[]
}

/** A TCP server on a free port; its sockets end with it. */
export async function listen(onSocket: (socket: Socket) => void): Promise<Listener> {
  const sockets: Socket[] = []
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    onSocket(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    port: address.port,
    sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
