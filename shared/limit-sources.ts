// How many connections one address may hold on a server: a neighbour that takes all there are would keep everyone else out.
import type { Server } from 'node:net'

/** Cuts what comes over the limit at once, and tells of it. A Unix socket's callers count as one source. */
export function limitSources(server: Server, mostPerSource: number, onCut: (source: string) => void = () => {}): void {
  const open = new Map<string, number>()
  server.on('connection', (socket) => {
    const source = socket.remoteAddress ?? ''
    const count = (open.get(source) ?? 0) + 1
    open.set(source, count)
    socket.once('close', () => {
      const left = (open.get(source) ?? 1) - 1
      if (left === 0) open.delete(source)
      else open.set(source, left)
    })
    if (count <= mostPerSource) return
    onCut(source)
    socket.destroy()
  })
}
