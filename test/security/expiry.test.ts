// A connection that outlives the certificate of its caller: what is in flight comes to its end, and nothing further is taken.
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { afterEach, describe, expect, test } from 'vitest'
import { ManualClock } from '#shared/clock.ts'
import type { WorkloadPort } from '#shared/decide/config.ts'
import { PREFACE } from '../../sidecar/http2/protocol.ts'
import { FramePeer, frame, get, settings } from '../../sidecar/http2/testing-frames.ts'
import type { MeshAlpn } from '../../sidecar/secure/mesh-alpn.ts'
import { TRUST_DOMAIN } from '../support/discovery.ts'
import { createTestAuthority } from '../support/svid.ts'
import { applicationThat, closeAll, dialAs, heard, pairFor } from './attack.ts'

afterEach(closeAll)

const GET = 'GET / HTTP/1.1\r\nHost: catalog\r\n\r\n'
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const isOk = (text: string) => text.endsWith('ok')
/** What is left of the certificate when its caller connects. */
const LEFT_MS = 5000

/** A server whose wall stands shortly before the end of the caller's certificate, and an application that answers when it is let. */
async function start(protocol: WorkloadPort['protocol'] = 'http') {
  const clock = new ManualClock(Date.now())
  let wall = Date.now()
  const serverClock = { now: () => clock.now(), after: clock.after.bind(clock), wall: () => wall + clock.now() }
  const waiting: (() => void)[] = []
  const requests: string[] = []
  const application = await applicationThat((socket, bytes) => {
    requests.push(bytes)
    waiting.push(() => socket.write(OK))
  })
  const ports = [{ port: application, protocol, httpVersion: '1.1', service: 'shop/catalog' } as const]
  const pair = await pairFor({ application, workload: { ports }, serverClock })
  const caller = await pair.authority.issue(`spiffe://${TRUST_DOMAIN}/ns/shop/sa/web`)
  wall = caller.expiresAt.getTime() - LEFT_MS
  return {
    requests,
    connect: (alpn: MeshAlpn): Duplex => dialAs(caller, pair.inboundPort, alpn),
    arrived: (count: number) => expect.poll(() => requests.length, { timeout: 10_000 }).toBe(count),
    answer: () => waiting.shift()?.(),
    expire: () => clock.advance(LEFT_MS),
    serving: () => pair.server.serving.inbound.count().connections,
    /** A root that stood beside the one of all certificates is gone. */
    async dropRoot() {
      const { current } = pair.serverIdentity
      if (current === undefined) throw new Error('no identity')
      const { roots } = await createTestAuthority()
      pair.serverIdentity.set({ ...current, roots: `${current.roots}\n${roots}` })
      pair.serverIdentity.set(current)
    },
  }
}

describe('by HTTP/2', () => {
  test('a request in flight is answered, and one that comes later is not looked at', async () => {
    const server = await start()
    const peer = new FramePeer(server.connect('weft/h2') as TLSSocket)
    peer.send(PREFACE, settings(), frame(4, 1, 0), get(1))
    await server.arrived(1)
    server.expire()
    // The first one refuses nothing; the last one comes once the caller has seen it.
    await peer.frame(7)
    const ping = await peer.frame(6)
    peer.send(frame(6, 1, 0, ping.payload))
    await peer.until(() => peer.frames.filter(({ type }) => type === 7).length === 2)
    peer.send(get(3))
    server.answer()

    expect((await peer.frame(1, 1)).flags & 4).toBe(4)
    await peer.untilClosed()
    expect(server.requests).toHaveLength(1)
    expect(peer.frames.filter(({ streamId }) => streamId === 3)).toEqual([])
  })

  test.each(['expire', 'dropRoot'] as const)(
    'an idle connection ends, also when a root is gone (%s)',
    async (change) => {
      const server = await start()
      const peer = new FramePeer(server.connect('weft/h2') as TLSSocket)
      peer.send(PREFACE, settings(), frame(4, 1, 0), get(1))
      await server.arrived(1)
      server.answer()
      await peer.frame(1, 1)
      await server[change]()
      const ping = await peer.frame(6)
      peer.send(frame(6, 1, 0, ping.payload))

      await peer.untilClosed()
      expect(server.requests).toHaveLength(1)
    },
  )
})

describe.each<MeshAlpn>(['weft/http1', 'weft/tcp'])('by HTTP/1.1 in %s', (alpn) => {
  test('the answer to a request in flight is the last', async () => {
    const server = await start()
    const caller = server.connect(alpn)
    const answers = heard(caller)
    caller.write(GET)
    await server.arrived(1)
    server.expire()
    server.answer()

    expect(await answers).toMatch(/\r\nConnection: close\r\n\r\nok$/)
    expect(server.requests).toHaveLength(1)
  })

  test('an idle connection ends', async () => {
    const server = await start()
    const caller = server.connect(alpn)
    caller.write(GET)
    await server.arrived(1)
    server.answer()
    await heard(caller, isOk)
    const end = heard(caller)
    server.expire()

    expect(await end).toBe('')
    caller.destroy()
    await expect.poll(server.serving, { timeout: 10_000 }).toBe(0)
  })
})

test('bytes that are no requests go on', async () => {
  const server = await start('opaque')
  const caller = server.connect('weft/tcp')
  caller.write('one')
  await server.arrived(1)
  server.expire()
  caller.write('two')
  await server.arrived(2)
  server.answer()

  expect(isOk(await heard(caller, isOk))).toBe(true)
})
