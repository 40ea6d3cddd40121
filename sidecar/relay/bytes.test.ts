import { connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { relayBytes } from './bytes.ts'

const servers: Server[] = []
const sockets: Socket[] = []
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))))
})

/** Two ends of one TCP connection: [who connects, who accepts]. */
async function pair(): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve))
  const client = connect({ port: (server.address() as { port: number }).port, host: '127.0.0.1', allowHalfOpen: true })
  client.on('error', () => {})
  const far = await accepted
  far.on('error', () => {})
  sockets.push(client, far)
  return [client, far]
}

async function relayed(idleTimeoutMs: number | null = null, head = '') {
  const [client, opener] = await pair()
  const [server, application] = await pair()
  const ended = relayBytes(opener, server, {
    head: Buffer.from(head),
    idleTimeoutMs,
    signal: new AbortController().signal,
  })
  return { client, application, ended }
}

/** All bytes up to the end of the half; the socket stays open. */
const all = (socket: Socket) =>
  new Promise<Buffer>((resolve) => {
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.once('end', () => resolve(Buffer.concat(chunks)))
  })

test('bytes pass both ways, with those read ahead first, and are counted', async () => {
  const { client, application, ended } = await relayed(null, 'he')
  client.end('llo')
  application.end('world')

  expect((await all(application)).toString()).toBe('hello')
  expect((await all(client)).toString()).toBe('world')
  expect(await ended).toEqual({ bytesSent: 5, bytesReceived: 5, isIdleTimeout: false })
})

test('a half that has ended leaves the other half open', async () => {
  const { client, application } = await relayed()
  client.end('question')
  expect((await all(application)).toString()).toBe('question')

  application.end('answer after the end')

  expect((await all(client)).toString()).toBe('answer after the end')
})

test('an end that was read before the relay began still reaches the other side', async () => {
  const [client, opener] = await pair()
  const [server, application] = await pair()
  client.end('all')
  const head = await all(opener)
  const ended = relayBytes(opener, server, { head, idleTimeoutMs: null, signal: new AbortController().signal })

  expect((await all(application)).toString()).toBe('all')
  application.end()
  client.resume()
  await ended
})

test('a reset on one side resets the other', async () => {
  const { client, application, ended } = await relayed()
  application.write('x')
  await new Promise((resolve) => client.once('data', resolve))
  const error = new Promise<NodeJS.ErrnoException>((resolve) => client.once('error', resolve))
  application.resetAndDestroy()

  expect((await error).code).toBe('ECONNRESET')
  await ended
})

test('a reader that stands still holds the sender back and loses nothing', async () => {
  const { client, application, ended } = await relayed()
  application.pause()
  const chunk = Buffer.alloc(1 << 20)
  let written = 0
  for (let i = 0; i < 64; i++) {
    client.write(chunk)
    written += chunk.length
  }
  await new Promise((resolve) => setImmediate(resolve))

  // What the kernel's buffers do not hold waits at the sender, not in the relay.
  expect(client.writableLength).toBeGreaterThan(32 << 20)
  let read = 0
  application.resume()
  application.on('data', (bytes: Buffer) => {
    read += bytes.length
  })
  client.end()
  await new Promise((resolve) => application.once('end', resolve))
  application.end()
  client.resume()
  await ended
  expect(read).toBe(written)
})

test('silence for the idle timeout ends both sides and says so', async () => {
  const { client, ended } = await relayed(30)
  const closed = new Promise((resolve) => client.once('close', resolve))
  client.resume()
  client.once('end', () => client.destroy())

  expect(await ended).toMatchObject({ isIdleTimeout: true })
  await closed
})
