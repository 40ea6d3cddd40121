// All relays of a process read into one buffer: what must never happen is that one connection sees bytes of another.
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { type Duplex, duplexPair } from 'node:stream'
import { createSecureContext, TLSSocket, connect as tlsConnect } from 'node:tls'
import { afterEach, expect, test } from 'vitest'
import { readDirectly } from '#flow/direct-read.ts'
import { makeAuthority } from '../../test/support/authority.ts'
import { relayBytes } from './bytes.ts'

const servers: Server[] = []
const streams: Duplex[] = []
afterEach(() => {
  for (const stream of streams.splice(0)) stream.destroy()
  for (const server of servers.splice(0)) server.close()
})

/** Two ends of one TCP connection: [who connects, who accepts]. */
async function tcp(): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true })
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  const [far] = (await once(server, 'connection')) as [Socket]
  for (const socket of [client, far]) socket.on('error', () => {})
  streams.push(client, far)
  return [client, far]
}

/** The same with TLS in it, both ends wrapped as the sidecar wraps them. */
async function tls(): Promise<[TLSSocket, TLSSocket]> {
  const [near, far] = await tcp()
  const authority = await makeAuthority()
  const { chain, key } = await authority.leaf('spiffe://a/ns/b/sa/c')
  const secureContext = createSecureContext({ cert: chain, key: key.export({ type: 'pkcs8', format: 'pem' }) })
  const server = new TLSSocket(far, { isServer: true, secureContext })
  const client = tlsConnect({ socket: near, rejectUnauthorized: false })
  for (const socket of [client, server]) socket.on('error', () => {})
  await Promise.all([once(client, 'secureConnect'), once(server, 'secure')])
  return [client, server]
}

/** Up to the end of that half; the stream stays open. */
async function all(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  await once(stream.resume(), 'end')
  return Buffer.concat(chunks)
}

/** More than the kernel's buffers of two connections hold. */
const LATE_SIZE = 32 << 20
const isLate = (i: number) => i % 4 === 0
const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
const NEVER = new AbortController().signal
const options = { head: Buffer.alloc(0), idleTimeoutMs: null, signal: NEVER }

test.each([
  ['plain to plain', tcp, tcp],
  ['plain to TLS', tcp, tls],
  ['TLS to plain', tls, tcp],
  ['TLS to TLS', tls, tls],
] as const)(
  '%s: eight connections at once, two of them read late, each bring their own bytes',
  async (_, left, right) => {
    const sums = Array.from({ length: 8 }, async (_, i) => {
      const [client, opener] = await left()
      const [server, application] = await right()
      const ended = relayBytes(opener, server, options)
      const [question, answer] = [randomBytes(isLate(i) ? LATE_SIZE : 3_000_000 + i), randomBytes(2_000_000 + i)]
      client.end(question)
      application.end(answer)
      const back = all(client)
      // The kernel's buffers are full by then: writes are still on their way while the others use the shared buffer.
      if (isLate(i)) await once(opener, 'pause')
      const heard = await all(application)
      const { bytesSent, bytesReceived } = await ended
      expect([bytesSent, bytesReceived]).toEqual([question.length, answer.length])
      return [digest(heard) === digest(question), digest(await back) === digest(answer)]
    })

    expect(await Promise.all(sums)).toEqual(sums.map(() => [true, true]))
  },
)

test('a socket is read directly, and bytes that came before are not lost', async () => {
  const [client, far] = await tcp()
  client.write('early')
  await once(far.resume().pause(), 'readable')
  expect(readDirectly(far, () => {})).toBe(false)
  expect(far.read().toString()).toBe('early')

  const heard = new Promise((resolve) => expect(readDirectly(far, (bytes) => resolve(bytes.toString()))).toBe(true))
  far.resume()
  client.write('late')
  expect(await heard).toBe('late')
})

test('a stream that is no socket is relayed all the same', async () => {
  const [near, opener] = duplexPair({ allowHalfOpen: true })
  const [server, application] = await tcp()
  const ended = relayBytes(opener, server, options)
  near.end('question')
  expect((await all(application)).toString()).toBe('question')
  application.end('answer')
  expect((await all(near)).toString()).toBe('answer')
  await ended
})

test.each([
  ['a socket', tcp],
  ['TLS', tls],
])('%s that is paused in the turn in which it was resumed is read no further', async (_, connection) => {
  const [near, far] = await connection()
  let received = 0
  let tell = () => {}
  const isDirect = readDirectly(far, (bytes) => {
    received += bytes.length
    tell()
  })
  far.pause()
  far.resume()
  far.pause()
  const size = 64 * 1024 * 1024
  near.write(Buffer.alloc(size))
  let before = -1
  while (before !== received) {
    before = received
    for (let turn = 0; turn < 500; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
  }
  const receivedPaused = received
  const { promise: isWhole, resolve } = Promise.withResolvers<void>()
  tell = () => received === size && resolve()
  far.resume()
  await isWhole

  expect(isDirect).toBe(true)
  expect(receivedPaused).toBeLessThan(1024 * 1024)
})
