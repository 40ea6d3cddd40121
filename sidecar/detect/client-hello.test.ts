import { connect, createServer, type Server } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readClientHello } from './client-hello.ts'
import { judgeInbound } from './mesh-hello.ts'

let server: Server
let port: number
const hellos: Buffer[] = []

beforeAll(async () => {
  server = createServer((socket) => {
    socket.once('data', (bytes: Buffer) => {
      hellos.push(bytes)
      socket.destroy()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  port = (server.address() as { port: number }).port
})
afterAll(() => new Promise((resolve) => server.close(resolve)))

async function realHello(options: { ALPNProtocols?: string[]; servername?: string }): Promise<Buffer> {
  const socket = connect(port, '127.0.0.1')
  const tls = connectTls({ socket, ...options })
  await new Promise<void>((resolve) => {
    tls.on('error', () => {})
    tls.on('close', () => resolve())
  })
  return hellos.at(-1) as Buffer
}

test('the ALPN names and the server name of a real ClientHello are read', async () => {
  const hello = await realHello({ ALPNProtocols: ['weft/http1', 'h2'], servername: 'catalog.shop' })

  expect(readClientHello(hello)).toEqual({ alpn: ['weft/http1', 'h2'], serverName: 'catalog.shop' })
})

test('a ClientHello without extensions of interest has no names', async () => {
  expect(readClientHello(await realHello({}))).toEqual({ alpn: [], serverName: null })
})

test('every shorter beginning of a ClientHello asks for more and never throws', async () => {
  const hello = await realHello({ ALPNProtocols: ['weft/tcp'] })

  for (let length = 0; length < hello.length; length++) {
    expect(readClientHello(hello.subarray(0, length))).toBe('more')
  }
})

test('a ClientHello parted into small records is joined', async () => {
  const hello = await realHello({ ALPNProtocols: ['weft/tcp'] })
  const body = hello.subarray(5)
  const records: Buffer[] = []
  for (let at = 0; at < body.length; at += 50) {
    const part = body.subarray(at, at + 50)
    records.push(Buffer.from([22, 3, 1, 0, part.length]), part)
  }

  expect(readClientHello(Buffer.concat(records))).toEqual({ alpn: ['weft/tcp'], serverName: null })
})

test('a flipped byte anywhere in a ClientHello is survived', async () => {
  const hello = await realHello({ ALPNProtocols: ['weft/tcp'], servername: 'a.b' })

  for (let at = 0; at < hello.length; at++) {
    const bent = Buffer.from(hello)
    bent[at] = 0xff
    expect(() => readClientHello(bent)).not.toThrow()
  }
})

test('only a hello that offers an ALPN of the mesh is a mesh hello', async () => {
  expect(judgeInbound(await realHello({ ALPNProtocols: ['weft/http1'] }))).toBe('mesh')
  expect(judgeInbound(await realHello({ ALPNProtocols: ['h2', 'http/1.1'] }))).toBe('tls')
  expect(judgeInbound(Buffer.from('GET / HTTP/1.1\r\n'))).toBe('http/1.1')
})
