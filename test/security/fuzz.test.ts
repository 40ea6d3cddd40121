// Broken requests and broken answers at once, through two sidecars: none may end a process or be called a bug of ours.
import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { afterEach, expect, test } from 'vitest'
import { resetSocket } from '#flow/reset.ts'
import type { HttpEngine } from '#shared/decide/config.ts'
import { seededRandom } from '#shared/seeded-random.ts'
import { applicationThat, closeAll, dial, pairFor } from './attack.ts'

afterEach(closeAll)

/** Whatever the application says must be written by HTTP/2, too. */
async function callHttp2(port: number): Promise<void> {
  const session = connectHttp2(`http://127.0.0.1:${port}`)
  session.on('error', () => {})
  const call = session.request({ ':path': '/' }).resume()
  // Some of the answers are never over.
  const give = setTimeout(() => session.destroy(), 100)
  await new Promise<void>((resolve) => call.on('error', () => {}).on('close', () => resolve()))
  clearTimeout(give)
  session.destroy()
}

const HEADS = ['GET / HTTP/1.1', 'POST /a?b=%zz HTTP/1.1', 'HEAD //x HTTP/1.1', 'OPTIONS * HTTP/1.1', 'PUT /p HTTP/1.0']
const FIELDS = [
  'Connection: close',
  'Connection: Upgrade, x',
  'Upgrade: websocket',
  'Expect: 100-continue',
  'Content-Length: 3',
  'Transfer-Encoding: chunked',
  'traceparent: junk',
  `Cookie: ${'c'.repeat(5000)}`,
  'TE: trailers',
]
const BODIES = [
  '',
  'abc',
  '3\r\nabc\r\n0\r\n\r\n',
  '3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n',
  '1\r\na\r\n'.repeat(50),
  'ffffffffffffffff\r\n',
]
const ANSWERS = [
  'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
  'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: 1\r\n\r\n',
  'HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nraw',
  'HTTP/1.1 100 Continue\r\n\r\n',
  'HTTP/1.1 103 Early\r\nLink: a\r\n\r\n'.repeat(20),
  'HTTP/1.1 200 OK\r\nDate: a\r\nDate: b\r\nHTTP2-Settings: c\r\nETag: d\r\nETag: e\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.0 200 OK\r\n\r\nuntil the end',
  'HTTP/1.1 204 None\r\nContent-Length: 3\r\n\r\nabc',
  'HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n',
  'no HTTP at all\r\n\r\n',
]

test.each<[string, { readonly engine?: HttpEngine }]>([
  ['our own codecs', {}],
  ['the Compat engine', { engine: 'compat' }],
])(
  '600 broken conversations by %s, each side at its worst, are no bug and end no process',
  async (_name, engine) => {
    const random = seededRandom(20_261_120)
    const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T
    const spoilt = (text: string) => {
      const bytes = Buffer.from(text, 'latin1')
      if (random() < 0.25) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256)
      return bytes
    }
    const application = await applicationThat((socket) => {
      for (let left = 1 + random() * 2; left > 0; left--) socket.write(spoilt(pick(ANSWERS)))
      const chance = random()
      if (chance < 0.2) socket.end()
      else if (chance < 0.4) resetSocket(socket)
    })
    const ports = [{ port: application, protocol: 'detect', service: 'shop/catalog', ...engine } as const]
    const pair = await pairFor({ application, config: engine, workload: { mtls: 'Permissive', ports } })
    const converse = async (port: number) => {
      const socket = dial(port)
      // Node loses a socket that is ended and reset before it is connected.
      await once(socket, 'connect')
      const fields = Array.from({ length: Math.floor(random() * 4) }, () => `${pick(FIELDS)}\r\n`).join('')
      for (let left = 1 + random() * 3; left > 0; left--) {
        socket.write(spoilt(`${pick(HEADS)}\r\nHost: c\r\n${fields}\r\n${pick(BODIES)}`))
      }
      if (random() < 0.4) socket.end()
      socket.resume()
      const give = setTimeout(() => (random() < 0.5 ? socket.destroy() : resetSocket(socket)), 40)
      await new Promise((resolve) => socket.once('close', resolve))
      clearTimeout(give)
    }
    const worker = async (port: number) => {
      for (let left = 30; left > 0; left--) await converse(port)
    }
    await Promise.all(Array.from({ length: 20 }, (_, i) => worker(i % 4 === 0 ? pair.inboundPort : pair.port)))
    for (let left = 60; left > 0; left--) await callHttp2(left % 4 === 0 ? pair.inboundPort : pair.port)

    const events = [...pair.events.client, ...pair.events.server]
    expect(events.filter(({ reason }) => reason === 'INTERNAL')).toEqual([])
    expect(events.some(({ kind, reason }) => kind === 'request' && reason === null)).toBe(true)
    expect(events.some(({ reason }) => reason === 'BAD_REQUEST')).toBe(true)
  },
  120_000,
)
