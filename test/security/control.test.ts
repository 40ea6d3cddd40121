// Discovery under attack: neighbours that only hold connections, and peers that ask for what is not theirs.
import { once } from 'node:events'
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { startGrpcReceiver } from '../../control/traces/grpc-receiver.ts'
import { TraceRing } from '../../control/traces/ring.ts'
import { eventually, startControl, startSidecar } from '../support/discovery.ts'
import { createTestAuthority } from '../support/svid.ts'

test('a neighbour with half-open handshakes keeps no sidecar from control', async () => {
  const authority = await createTestAuthority()
  await using control = await startControl(authority)
  let open = 0
  const held = Array.from({ length: 600 }, () => {
    const socket: Socket = connect({ port: control.port, host: '127.0.0.1', localAddress: '127.0.0.2' })
    socket
      .on('error', () => {})
      .on('connect', () => open++)
      .on('close', () => open--)
    return socket
  })
  await Promise.all(held.map((socket) => (socket.connecting ? once(socket, 'connect').catch(() => undefined) : null)))
  await using sidecar = await startSidecar(authority, control.address)
  await eventually(sidecar.discovery.isConnected, Boolean)

  expect(open).toBeLessThanOrEqual(256)
  for (const socket of held) socket.destroy()
})

test('a neighbour whose messages never end pins a bounded part of the memory of control', async () => {
  await using receiver = await startReceiver()
  const sessions = Array.from({ length: 40 }, () => connectHttp2(`http://127.0.0.1:${receiver.port}`))
  const isOver = sessions.map(
    (session) => new Promise((resolve) => session.on('error', () => {}).once('close', resolve)),
  )
  // More than a source may have: what is over is cut.
  await Promise.all(isOver.slice(8))

  const open = sessions.filter((session) => !session.closed && !session.destroyed)
  expect(open).toHaveLength(8)
  const [first] = open
  if (first?.remoteSettings.maxConcurrentStreams === undefined)
    await once(first as ClientHttp2Session, 'remoteSettings')
  expect(first?.remoteSettings.maxConcurrentStreams).toBe(4)
  for (const session of sessions) session.destroy()
})

async function startReceiver() {
  const receiver = await startGrpcReceiver([{ host: '127.0.0.1', port: 0 }], new TraceRing())
  return { port: receiver.addresses[0]?.port ?? 0, [Symbol.asyncDispose]: () => receiver.close() }
}
