// Run in a pod in place of a sidecar: tells whoever connects to 15001 or 15006 where iptables took the connection from.
import { createServer } from 'node:net'
import { formatAddress } from '#shared/address.ts'
import { loadOriginalDestination } from '../../sidecar/accept/destination.ts'

const originalDestination = loadOriginalDestination()
for (const [direction, port] of [
  ['outbound', 15001],
  ['inbound', 15006],
] as const) {
  for (const host of ['0.0.0.0', '::']) {
    createServer((socket) => {
      const destination = originalDestination(socket)
      socket.on('error', () => undefined)
      socket.end(`${direction} ${destination === undefined ? 'none' : formatAddress(destination)}\n`)
    }).listen({ host, port, ipv6Only: host === '::' }, () => console.log(`${direction} listens on ${host}`))
  }
}
