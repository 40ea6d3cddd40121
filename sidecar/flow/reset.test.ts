import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { resetSocket } from './reset.ts'

async function reset(before: (socket: Socket) => void): Promise<string | undefined> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {})
    before(socket)
    resetSocket(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  client.resume()
  client.on('end', () => client.end())
  const code = await new Promise<string | undefined>((resolve) => {
    client.on('error', (error: NodeJS.ErrnoException) => resolve(error.code)).on('close', () => resolve(undefined))
  })
  // Comes only when no connection is open any more: one that is lost keeps it for ever.
  await new Promise((resolve) => server.close(resolve))
  return code
}

test('an open socket is reset', async () => {
  expect(await reset(() => {})).toBe('ECONNRESET')
})

test.each<[string, (socket: Socket) => void]>([
  ['ended', (socket) => socket.end()],
  ['ended with its last words', (socket) => socket.end('last words')],
])('a socket that has been %s in this very moment is gone, not lost', async (_name, before) => {
  expect([undefined, 'ECONNRESET']).toContain(await reset(before))
})
