import type { ServerHttp2Stream } from 'node:http2'
import { describe, expect, test } from 'vitest'
import type { WorkloadConfig } from '#shared/decide/config.ts'
import type { Answerer } from '../support/http2.ts'
import { clientOf, http1App, http2App, pairFor, shared } from '../support/http2-pair.ts'
import { CLIENT_ID } from '../support/pair.ts'
import { createTestAuthority } from '../support/svid.ts'

describe('a connection between the sidecars that goes away', () => {
  test('when the server drains, no request of a steady stream of them fails', async () => {
    const app = await http1App((request, response) => response.end(request.url))
    const pair = await pairFor({ application: app })
    const statuses: number[] = []
    const worker = async (count: number) => {
      for (let i = 0; i < count; i++) {
        const response = await fetch(`http://127.0.0.1:${pair.port}/${i}`, { method: 'POST', body: 'x' })
        await response.text()
        statuses.push(response.status)
        if (statuses.length === 100) pair.server.serving.inbound.closeAfterNext()
      }
    }
    await Promise.all(Array.from({ length: 8 }, () => worker(50)))

    expect(statuses).toEqual(Array(400).fill(200))
    expect(shared(pair).opened).toBeGreaterThan(1)
  })

  test('a certificate that is renewed leaves what is in flight and serves what follows anew', async () => {
    const open: ServerHttp2Stream[] = []
    const app = await http2App((stream, headers) => {
      if (headers[':path'] !== '/long') return stream.respond({ ':status': 200 }, { endStream: true })
      stream.respond({ ':status': 200 })
      open.push(stream)
    })
    const pair = await pairFor({ application: app.port })
    const client = await clientOf(pair)
    const long = client.request({ ':path': '/long' })
    await client.request({ ':path': '/' })
    pair.clientIdentity.set(await pair.authority.issue(CLIENT_ID))
    expect(await client.request({ ':path': '/' })).toMatchObject({ status: 200 })
    expect(shared(pair)).toMatchObject({ opened: 2, connections: 2 })
    open[0]?.end('still here')

    expect(await long).toMatchObject({ status: 200, body: 'still here' })
  })

  test('a root that the server no longer trusts makes callers prove themselves anew, without an error', async () => {
    const app = await http1App((_request, response) => response.end('ok'))
    const pair = await pairFor({ application: app })
    const ask = async () => (await fetch(`http://127.0.0.1:${pair.port}/`)).status
    const { current } = pair.serverIdentity
    if (current === undefined) throw new Error('no identity')
    const { roots } = await (await createTestAuthority()).issue(CLIENT_ID)
    pair.serverIdentity.set({ ...current, roots: `${current.roots}\n${roots}` })
    expect([await ask(), await ask()]).toEqual([200, 200])
    expect(shared(pair)).toMatchObject({ opened: 1 })
    pair.serverIdentity.set(current)

    await expect.poll(async () => [await ask(), shared(pair).opened]).toEqual([200, 2])
  })

  test('an endpoint that is gone ends what is in flight and gets nothing new', async () => {
    const open: ServerHttp2Stream[] = []
    const app = await http2App((stream) => {
      stream.respond({ ':status': 200 })
      open.push(stream)
    })
    const other = await http2App((stream) => stream.respond({ ':status': 204 }, { endStream: true }))
    const pair = await pairFor({ application: app.port, replicas: [other.port] })
    const [first, second] = pair.endpoints.current
    if (first === undefined || second === undefined) throw new Error('want two endpoints')
    pair.endpoints.set([first])
    const client = await clientOf(pair)
    const long = client.request({ ':path': '/long' })
    await expect.poll(() => open.length).toBe(1)
    pair.endpoints.set([second])
    expect(await client.request({ ':path': '/' })).toMatchObject({ status: 204 })
    open[0]?.end('still here')

    expect(await long).toMatchObject({ body: 'still here' })
  })
})

/** Sends so much for /much as it is let, and tells how much it has sent; anything else is answered at once. */
function muchOf(sizeBytes: number): { readonly answer: Answerer; readonly sent: () => number } {
  let sent = 0
  const chunk = Buffer.alloc(64 * 1024)
  const answer: Answerer = (stream, headers) => {
    if (headers[':path'] !== '/much') return stream.respond({ ':status': 200 }, { endStream: true })
    stream.respond({ ':status': 200 })
    const more = (): void => {
      while (sent < sizeBytes) {
        sent += chunk.length
        if (!stream.write(chunk)) return void stream.once('drain', more)
      }
      stream.end()
    }
    more()
  }
  return { answer, sent: () => sent }
}

describe('an endpoint that is this very pod', () => {
  test('is reached in process, by requests of both versions on one connection', async () => {
    const app = await http2App((stream) => stream.respond({ ':status': 204 }, { endStream: true }))
    const ports = [{ port: app.port, protocol: 'http', httpVersion: '2', service: 'shop/web' } as const]
    const pair = await pairFor({ application: app.port, podAddresses: ['127.0.0.1'] })
    const [endpoint] = pair.endpoints.current
    if (endpoint === undefined) throw new Error('no endpoint')
    pair.clientWorkload.set({ ...pair.clientWorkload.current, ports } as WorkloadConfig)
    pair.endpoints.set([{ ...endpoint, address: { host: '127.0.0.1', port: app.port } }])
    const client = await clientOf(pair)

    expect(await client.request({ ':path': '/' })).toMatchObject({ status: 204 })
    expect((await fetch(`http://127.0.0.1:${pair.port}/`)).status).toBe(204)
    expect(shared(pair)).toMatchObject({ opened: 1 })
    expect(pair.events.server).toEqual([])
    const inbound = pair.events.client.filter(({ direction }) => direction === 'inbound')
    expect(inbound).toMatchObject([
      { peer: CLIENT_ID, version: '2' },
      { peer: CLIENT_ID, version: '1.1' },
    ])
  })
})

describe('one connection is fair', () => {
  test('an answer that nobody reads holds back nobody else, and stays with its sender', async () => {
    const much = muchOf(100 * 1024 * 1024)
    const app = await http2App(much.answer)
    const pair = await pairFor({ application: app.port })
    const reader = await clientOf(pair)
    const client = await clientOf(pair)
    const stalled = reader.session.request({ ':path': '/much' })
    await new Promise((resolve) => stalled.once('response', resolve))
    for (let i = 0; i < 200; i++) await client.request({ ':path': `/${i}` })

    expect(much.sent()).toBeLessThan(8 * 1024 * 1024)
    expect(shared(pair)).toMatchObject({ opened: 1 })
    stalled.close()
  })

  test('while 64 MiB pass, requests beside them are answered one after another all the time', async () => {
    const sizeBytes = 64 * 1024 * 1024
    const app = await http2App(muchOf(sizeBytes).answer)
    const pair = await pairFor({ application: app.port, peerConnections: 1 })
    const [bulk, client] = [await clientOf(pair), await clientOf(pair)]
    await client.request({ ':path': '/' })
    let received = 0
    const much = bulk.session.request({ ':path': '/much' })
    const over = new Promise((resolve) => much.once('end', resolve))
    const begun = new Promise((resolve) => much.once('data', resolve))
    much.on('data', (chunk: Buffer) => {
      received += chunk.length
    })
    await begun
    let answered = 0
    for (; answered < 10_000 && received < sizeBytes; answered++) await client.request({ ':path': '/' })
    await over

    expect(received).toBe(sizeBytes)
    expect(answered).toBeGreaterThan(100)
    expect(shared(pair)).toMatchObject({ opened: 1 })
  })
})
