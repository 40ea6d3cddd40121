// Callers of the inbound side: meshed ones with a certificate of their own, and neighbours without any.
import { afterEach, describe, expect, test } from 'vitest'
import { FlowError } from '#flow/error.ts'
import { requireOwnAddress } from '../../sidecar/accept/destination.ts'
import { TRUST_DOMAIN } from '../support/discovery.ts'
import { applicationThat, ask, closeAll, dial, dialAs, heard, pairFor, statusOf } from './attack.ts'

afterEach(closeAll)

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const GET = 'GET / HTTP/1.1\r\nHost: catalog\r\n\r\n'
const isOk = (text: string) => text.endsWith('ok')
const httpPort = (port: number) => [{ port, protocol: 'http', service: 'shop/catalog' } as const]

describe('pooled connections to the application', () => {
  test('are never shared by two identities', async () => {
    const callers: string[] = []
    const application = await applicationThat((socket, bytes, connection) => {
      callers.push(`${/x-name: (\S+)/.exec(bytes)?.[1]} on ${connection}`)
      socket.write(OK)
    })
    const pair = await pairFor({ application })
    const call = async (name: string) => {
      const identity = await pair.authority.issue(`spiffe://${TRUST_DOMAIN}/ns/shop/sa/${name}`)
      const stream = dialAs(identity, pair.inboundPort, 'weft/http1')
      stream.write(`GET / HTTP/1.1\r\nHost: c\r\nx-name: ${name}\r\nConnection: close\r\n\r\n`)
      await heard(stream)
    }

    for (const name of ['web', 'mallory', 'web', 'mallory']) await call(name)

    expect(callers).toEqual(['web on 1', 'mallory on 2', 'web on 1', 'mallory on 2'])
  })
})

describe('ALPN', () => {
  test('weft/tcp leads nobody past the codec of a port of HTTP', async () => {
    const seen: string[] = []
    const application = await applicationThat((socket, bytes) => {
      seen.push(bytes)
      socket.write(OK)
    })
    const pair = await pairFor({ application, workload: { ports: httpPort(application) } })
    const mallory = await pair.authority.issue(`spiffe://${TRUST_DOMAIN}/ns/shop/sa/mallory`)
    const stream = dialAs(mallory, pair.inboundPort, 'weft/tcp')
    const answer = heard(stream, isOk)

    stream.write('GET / HTTP/1.1\r\nHost: catalog\r\nX-Forwarded-Client-Cert: By=me\r\n\r\n')
    await answer
    const smuggler = dialAs(mallory, pair.inboundPort, 'weft/tcp')
    smuggler.write('get / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n')

    expect(statusOf(await heard(smuggler))).toBe(400)
    expect(seen).toHaveLength(1)
    expect(seen[0]).not.toMatch(/client-cert/i)
  })

  test('weft/http1 leads nobody to the codec of a port that is opaque', async () => {
    const seen: string[] = []
    const application = await applicationThat((socket, bytes) => {
      seen.push(bytes)
      socket.end('ok')
    })
    const ports = [{ port: application, protocol: 'opaque', service: null } as const]
    const pair = await pairFor({ application, workload: { ports } })
    const mallory = await pair.authority.issue(`spiffe://${TRUST_DOMAIN}/ns/shop/sa/mallory`)
    const stream = dialAs(mallory, pair.inboundPort, 'weft/http1')

    stream.write('SET key value\r\n')

    expect(await heard(stream)).toBe('ok')
    expect(seen).toEqual(['SET key value\r\n'])
  })
})

describe('a neighbour without an identity', () => {
  test('cannot reach another address through the pod', async () => {
    const socket = { localAddress: '10.77.0.5' }
    const reach = (host: string) => {
      const input = { socket, destination: { host, port: 80 } } as unknown as Parameters<typeof layer>[0]
      return layer(input).catch((error: unknown) => (error instanceof FlowError ? error.code : error))
    }
    const layer = requireOwnAddress<string>(['10.77.0.5', 'fd77:0:0:0::5'])(async () => 'let in')

    expect(await Promise.all(['10.77.0.5', 'fd77::5'].map(reach))).toEqual(['let in', 'let in'])
    expect(await Promise.all(['127.0.0.1', '::1', '10.77.0.6', '192.0.2.1', '0.0.0.0'].map(reach))).toEqual(
      Array(5).fill('NOT_THIS_POD'),
    )
  })

  test.each([
    ['a method in lower case', 'get / HTTP/1.1\r\nHost: c\r\n\r\n'],
    ['an empty line first and a smuggled length', '\r\n\r\nGET / HTTP/1.1\r\nHost: c\r\n\r\n'],
    ['a request line beyond what is sniffed', `GET /${'a'.repeat(40_000)} HTTP/1.1\r\nHost: c\r\n\r\n`],
    ['no HTTP at all', 'EHLO me and more\r\n'],
  ])('that sends %s to a Permissive port of HTTP meets the codec, never the application', async (_name, bytes) => {
    const seen: string[] = []
    const application = await applicationThat((socket, sent) => {
      seen.push(sent)
      socket.write(OK)
    })
    const pair = await pairFor({ application, workload: { mtls: 'Permissive', ports: httpPort(application) } })
    const socket = dial(pair.inboundPort)

    socket.write(bytes)

    expect(statusOf(await heard(socket))).toBeGreaterThanOrEqual(400)
    expect(seen).toEqual([])
  })

  test('that opens a thousand handshakes and finishes none keeps no other caller out', async () => {
    const pair = await pairFor({ application: await applicationThat((socket) => socket.write(OK)) })
    const halfOpen = Array.from({ length: 1000 }, () => dial(pair.inboundPort))
    for (const socket of halfOpen) socket.write(Buffer.from('160301', 'hex'))

    expect(isOk(await ask(pair.port))).toBe(true)
    expect(halfOpen.filter((socket) => socket.destroyed)).toEqual([])
  })

  test('gets no byte from a Strict port, whatever it sends', async () => {
    const seen: string[] = []
    const application = await applicationThat((socket, sent) => {
      seen.push(sent)
      socket.write(OK)
    })
    const pair = await pairFor({ application })
    const tries = [GET, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', '\x16\x03\x01\x00\x00', '\0'.repeat(100)].map((bytes) => {
      const socket = dial(pair.inboundPort)
      socket.end(Buffer.from(bytes, 'latin1'))
      return heard(socket)
    })

    expect(await Promise.all(tries)).toEqual(['', '', '', ''])
    expect(seen).toEqual([])
  })
})
