import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { ManualClock } from '#shared/clock.ts'
import { createDialer } from './dial.ts'

const dial = createDialer({ connectTimeoutMs: 2_000 })
const NEVER = new AbortController().signal

async function startServer(onConnection: (socket: Socket) => void) {
  const sockets = new Set<Socket>()
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    onConnection(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  return {
    address: { host: '127.0.0.1', port },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

test('the far side may end its half and still be written to', async () => {
  const { promise: received, resolve } = Promise.withResolvers<string>()
  await using server = await startServer((socket) => {
    socket.end('bye')
    socket.on('data', (bytes) => resolve(bytes.toString()))
  })
  const socket = await dial(server.address, NEVER)
  const [bytes] = (await once(socket, 'data')) as [Buffer]
  expect(bytes.toString()).toBe('bye')
  await once(socket, 'end')
  socket.write('still here')
  expect(await received).toBe('still here')
  socket.destroy()
})

test('a refused connection is CONNECT_FAILED with the system error as its cause', async () => {
  const closed = await startServer(() => {})
  const { address } = closed
  await closed[Symbol.asyncDispose]()
  await expect(dial(address, NEVER)).rejects.toMatchObject({
    code: 'CONNECT_FAILED',
    cause: { code: 'ECONNREFUSED' },
  })
})

test('a connection that does not come in time is CONNECT_TIMEOUT and names the endpoint', async () => {
  await using server = await startServer(() => {})
  const clock = new ManualClock()
  const dialling = createDialer({ connectTimeoutMs: 2_000, clock })(server.address, NEVER)
  // The answer of the kernel is read on a later turn of the loop at the earliest.
  clock.advance(2_000)
  const text = `no connection to 127.0.0.1:${server.address.port} within 2000 ms`
  await expect(dialling).rejects.toMatchObject({ code: 'CONNECT_TIMEOUT', cause: { message: text } })
})

test('the limit of one call goes before the general one, and ends with the connection', async () => {
  await using server = await startServer(() => {})
  const clock = new ManualClock()
  const dialling = createDialer({ connectTimeoutMs: 2_000, clock })(server.address, NEVER, 5_000)
  clock.advance(4_999)
  const socket = await dialling
  clock.advance(10_000)
  expect(socket.destroyed).toBe(false)
  socket.destroy()
})

test('an abort ends the dialling at once', async () => {
  const controller = new AbortController()
  const reason = new Error('the pod shuts down')
  const dialling = dial({ host: '192.0.2.1', port: 9 }, controller.signal)
  controller.abort(reason)
  await expect(dialling).rejects.toMatchObject({ code: 'CONNECT_FAILED', cause: reason })
  await expect(dial({ host: '192.0.2.1', port: 9 }, controller.signal)).rejects.toMatchObject({ cause: reason })
})

test('an abort after the connection is there leaves it alone', async () => {
  await using server = await startServer((socket) => socket.pipe(socket))
  const controller = new AbortController()
  const socket = await dial(server.address, controller.signal)
  controller.abort()
  socket.write('echo')
  const [bytes] = (await once(socket, 'data')) as [Buffer]
  expect(bytes.toString()).toBe('echo')
  expect(socket.listenerCount('connect')).toBe(0)
  expect(socket.listenerCount('error')).toBe(0)
  socket.destroy()
})
