// Long bodies between two sidecars lead to further connections, which are counted here by a relay of bytes between the two.
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { ManualClock } from '#shared/clock.ts'
import type { Answerer, Http2Client } from '../support/http2.ts'
import { clientOf, http2App, pairFor, shared } from '../support/http2-pair.ts'
import { type Pair, portOf } from '../support/pair.ts'

const MIB = 1 << 20
const IDLE_MS = 30_000

const sockets = new Set<Socket>()
const servers = new Set<{ close(): void }>()
afterEach(() => {
  for (const server of servers) server.close()
  for (const socket of sockets) socket.destroy()
  servers.clear()
  sockets.clear()
})

interface Passed {
  /** What the client's sidecar has sent on it. */
  up: number
  isOpen: boolean
}

/** What passes on each connection, in the order in which they were made. */
async function relayTo(port: number): Promise<{ readonly port: number; readonly passed: Passed[] }> {
  const passed: Passed[] = []
  const relay = createServer({ allowHalfOpen: true }, (near) => {
    const one: Passed = { up: 0, isOpen: true }
    passed.push(one)
    const far = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    for (const socket of [near, far]) sockets.add(socket.on('error', () => {}))
    near.on('data', (piece) => {
      one.up += piece.length
    })
    near.on('close', () => {
      one.isOpen = false
    })
    near.pipe(far).pipe(near)
  })
  servers.add(relay)
  relay.listen(0, '127.0.0.1')
  await once(relay, 'listening')
  return { port: portOf(relay), passed }
}

const chunk = Buffer.alloc(64 * 1024)
/** For /endless as much as is taken; anything else at once. */
const answer: Answerer = (stream, headers) => {
  stream.respond({ ':status': 200 })
  if (headers[':path'] !== '/endless') return void stream.end('small')
  const more = (): void => {
    while (!stream.destroyed) if (!stream.write(chunk)) return void stream.once('drain', more)
  }
  more()
}

/** Reads until so much has come, and then no more; end() gives it up. */
async function takeBody(client: Http2Client, sizeBytes: number): Promise<{ end(): Promise<void> }> {
  const stream = client.session.request({ ':path': '/endless' })
  stream.on('error', () => {})
  let received = 0
  await new Promise<void>((resolve) =>
    stream.on('data', (piece: Buffer) => {
      received += piece.length
      if (received < sizeBytes) return
      stream.pause()
      resolve()
    }),
  )
  return {
    async end() {
      const closed = once(stream, 'close')
      stream.destroy()
      await closed
    },
  }
}

/** A pair whose client's clock stands still, so that a body counts as long as it takes the test. */
async function world(peerConnections?: number) {
  const clock = new ManualClock()
  const app = await http2App(answer)
  // Not detected: a client that is slow to speak would have the service dialled for bytes.
  const config = { protocol: 'http' } as const
  const pair = await pairFor({ application: app.port, clock, config, ...(peerConnections && { peerConnections }) })
  const [endpoint] = pair.endpoints.current
  if (endpoint === undefined) throw new Error('no endpoint')
  const { port, passed } = await relayTo(endpoint.address.port)
  pair.endpoints.set([{ ...endpoint, address: { host: '127.0.0.1', port } }])
  return { clock, pair, passed, small: smallRequests(await clientOf(pair)) }
}

function smallRequests(client: Http2Client) {
  return async (count: number) => {
    for (let i = 0; i < count; i++)
      expect(await client.request({ ':path': '/' })).toMatchObject({ status: 200, body: 'small' })
  }
}

async function untilOpened(pair: Pair, count: number): Promise<void> {
  await expect.poll(() => shared(pair), { timeout: 10_000 }).toMatchObject({ opened: count, dialling: 0 })
}

test('requests beside a long body travel on another connection, and return when it is over; that one ends idle', async () => {
  const { clock, pair, passed, small } = await world()
  const body = await takeBody(await clientOf(pair), 8 * MIB)
  await small(1)
  await untilOpened(pair, 2)
  const before = passed.map(({ up }) => up)
  await small(50)

  const grown = passed.map(({ up }, at) => up - (before[at] ?? 0))
  // Fifty heads, each with its record of TLS; beside the body there is at most an answer to a PING.
  expect(grown[1]).toBeGreaterThan(50 * 30)
  expect(grown[0]).toBeLessThan(200)

  await body.end()
  for (let waited = 0; waited <= IDLE_MS; waited += 5000) {
    clock.advance(5000)
    await small(5)
  }
  await expect.poll(() => passed.map(({ isOpen }) => isOpen)).toEqual([true, false])
  expect(shared(pair)).toMatchObject({ connections: 1, opened: 2 })
  const last = passed[0]?.up ?? 0
  await small(50)
  expect((passed[0]?.up ?? 0) - last).toBeGreaterThan(50 * 30)
})

test('long bodies lead to no more connections than were allowed', async () => {
  const { pair, small } = await world(3)
  const bodies = []
  for (let opened = 1; opened <= 5; opened++) {
    bodies.push(await takeBody(await clientOf(pair), 8 * MIB))
    await small(1)
    await untilOpened(pair, Math.min(opened + 1, 3))
  }
  await small(20)

  expect(shared(pair)).toMatchObject({ connections: 3, opened: 3, active: 5 })
  for (const body of bodies) await body.end()
})

test('where one is allowed, bodies share it with all requests', async () => {
  const { pair, small } = await world(1)
  const body = await takeBody(await clientOf(pair), 8 * MIB)
  await small(20)

  expect(shared(pair)).toMatchObject({ connections: 1, opened: 1, dialling: 0 })
  await body.end()
})
