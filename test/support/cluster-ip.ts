// The virtual address of a Service on loopback: each connection goes to one of the ports behind it in turn, as kube-proxy would do
// with addresses, and what is open stays where it is.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type Watch, Watched } from '#shared/watch.ts'

export interface ClusterIp extends AsyncDisposable {
  /** "127.0.0.1:PORT" */
  readonly address: string
  /** Who is ready from now on; nobody: connections are refused, as far as a listener can. */
  set(...ports: readonly number[]): void
  /** Connections that nobody took. */
  readonly refused: Watch<number>
}

export async function startClusterIp(): Promise<ClusterIp> {
  let ports: readonly number[] = []
  let turn = 0
  const refused = new Watched(0)
  const sockets = new Set<Socket>()
  const track = (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => sockets.delete(socket))
  }
  const server = createServer((downstream) => {
    track(downstream)
    const port = ports[turn++ % ports.length]
    if (port === undefined) {
      downstream.resetAndDestroy()
      return
    }
    const upstream = connect(port, '127.0.0.1')
    track(upstream)
    upstream.once('error', () => {
      if (upstream.bytesRead === 0) refused.set(refused.current + 1)
    })
    // Whoever breaks off breaks both, as there is one connection in truth.
    upstream.once('close', () => downstream.destroy())
    downstream.once('close', () => upstream.destroy())
    downstream.pipe(upstream).pipe(downstream)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    address: `127.0.0.1:${port}`,
    refused,
    set(...next) {
      ports = next
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
