import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { expect, test } from 'vitest'
import { Heard } from '#flow/heard.fixture.ts'
import { connectHttp1 } from './client.ts'
import { serveHttp1 } from './server.ts'
import { requestTo } from './testing.ts'

// A shared key spares the test its certificates; what is under test is the codec on a TLSSocket.
const KEY = Buffer.alloc(16, 7)
const PSK = { ciphers: 'PSK-AES128-GCM-SHA256', maxVersion: 'TLSv1.2', minVersion: 'TLSv1.2' } as const

async function connectPair(accept: (socket: TLSSocket) => void): Promise<{ socket: TLSSocket } & AsyncDisposable> {
  const server = createServer({ ...PSK, pskCallback: () => KEY }, accept)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = connect({
    ...PSK,
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    pskCallback: () => ({ psk: KEY, identity: 'test' }),
    checkServerIdentity: () => undefined,
  })
  await once(socket, 'secureConnect')
  return {
    socket,
    async [Symbol.asyncDispose]() {
      socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

test('large bodies go both ways over TLS, on one connection', async () => {
  let accepted = 0
  await using pair = await connectPair((socket) => {
    accepted++
    serveHttp1(socket, null, {
      accept(stream) {
        stream.events = {
          onHead: () => stream.sendHead([':status', '200'], false),
          onData(bytes, from, to, end) {
            if (!stream.sendData(bytes, from, to, end)) stream.pause()
          },
          onTrailers() {},
          onReset() {},
          onDrain: () => stream.resume(),
        }
      },
      onRefused() {},
      onClose() {},
    })
  })
  const connection = connectHttp1(pair.socket)
  const sent = Buffer.alloc(3_000_000, 'abcdefg')

  for (let round = 0; round < 2; round++) {
    const heard = new Heard()
    const stream = connection.open(heard)
    stream.sendHead(requestTo('/', 'POST', 'Content-Length', String(sent.length)), false)
    stream.sendData(sent, 0, sent.length, true)
    await heard.ended()
    expect(heard.body === sent.toString('latin1')).toBe(true)
  }
  expect(accepted).toBe(1)
})

test('a tunnel over TLS keeps its half-close', async () => {
  const served = Promise.withResolvers<Heard>()
  await using pair = await connectPair((socket) => {
    serveHttp1(socket, null, {
      accept(stream) {
        const heard = new Heard()
        stream.events = heard
        heard.onEvent = () => {
          if (heard.log.length === 1) stream.sendHead([':status', '101', 'Upgrade', 'x'], false)
          if (heard.log.at(-1) !== 'data end') return
          stream.sendData(Buffer.from(`got ${heard.body}`), 0, 4 + heard.body.length, true)
          served.resolve(heard)
        }
      },
      onRefused() {},
      onClose() {},
    })
  })
  const heard = new Heard()
  const stream = connectHttp1(pair.socket).open(heard)
  stream.sendHead(requestTo('/', 'GET', 'Upgrade', 'x'), true)
  await heard.until(() => heard.heads.length > 0)
  stream.sendData(Buffer.from('raw'), 0, 3, true)
  await served.promise
  await heard.ended()

  expect(heard.body).toBe('got raw')
  expect(heard.log.at(-1)).toBe('data end')
})
