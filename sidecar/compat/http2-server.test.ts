import { once } from 'node:events'
import { type ClientHttp2Session, connect, constants } from 'node:http2'
import { createServer, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import type { Fields, HttpServerConnection, HttpStream } from '#flow/stream.ts'
import { serveCompatHttp2 } from './http2-server.ts'

class Request {
  heads: Fields[] = []
  trailers: Fields | null = null
  body = ''
  reset: string | null = null
  readonly stream: HttpStream
  readonly ended = Promise.withResolvers<void>()

  constructor(stream: HttpStream) {
    this.stream = stream
    stream.events = this
  }
  onHead(fields: Fields, end: boolean): void {
    this.heads.push(fields)
    if (end) this.ended.resolve()
  }
  onData(bytes: Uint8Array, from: number, to: number, end: boolean): void {
    this.body += Buffer.from(bytes.subarray(from, to)).toString()
    if (end) this.ended.resolve()
  }
  onTrailers(fields: Fields): void {
    this.trailers = fields
    this.ended.resolve()
  }
  onReset(code: string): void {
    this.reset = code
    this.ended.resolve()
  }
  onDrain(): void {}
}

async function start() {
  const sockets: Socket[] = []
  const connections: HttpServerConnection[] = []
  const requests: Request[] = []
  const refused: string[] = []
  let tell = () => {}
  const server = createServer((socket) => {
    sockets.push(socket)
    const connection = serveCompatHttp2(socket, null, {
      accept(stream) {
        requests.push(new Request(stream))
        tell()
      },
      onRefused: (code) => refused.push(code),
      onClose: () => {},
    })
    connections.push(connection)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client: ClientHttp2Session = connect(`http://127.0.0.1:${(server.address() as { port: number }).port}`)
  client.on('error', () => {})
  return {
    client,
    connections,
    refused,
    async request(index: number): Promise<Request> {
      while (requests[index] === undefined) await new Promise<void>((resolve) => (tell = resolve))
      await requests[index].ended.promise
      return requests[index]
    },
    async [Symbol.asyncDispose]() {
      client.destroy()
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

test('a request comes with all pseudo-fields, its crumbs of Cookie joined, its body and trailers', async () => {
  await using server = await start()
  const call = server.client.request(
    { ':method': 'POST', ':path': '/a?b', cookie: ['a=1', 'b=2'], 'x-one': '1' },
    { waitForTrailers: true },
  )
  call.on('wantTrailers', () => call.sendTrailers({ 'x-sum': '7' }))
  call.end('body')
  const request = await server.request(0)

  const [head = []] = request.heads
  expect(head.slice(0, 4)).toEqual([':method', 'POST', ':scheme', 'http'])
  expect(head.slice(6, 8)).toEqual([':path', '/a?b'])
  expect(head.slice(8)).toEqual(expect.arrayContaining(['cookie', 'a=1; b=2', 'x-one', '1']))
  expect(request.body).toBe('body')
  expect(request.trailers).toEqual(['x-sum', '7'])
})

test('an answer goes out with 1xx heads, repeated fields, its body and trailers', async () => {
  await using server = await start()
  const call = server.client.request({ ':path': '/' })
  const interim: unknown[] = []
  let trailers: unknown
  call.on('headers', (headers) => interim.push(headers[':status']))
  call.on('trailers', (headers) => (trailers = headers['grpc-status']))
  const { stream } = await server.request(0)
  stream.sendHead([':status', '103', 'link', '</a>'], false)
  stream.sendHead([':status', '200', 'Set-Cookie', 'a', 'set-cookie', 'b', 'Connection', 'close'], false)
  stream.sendData(Buffer.from('-ok-'), 1, 3, false)
  stream.sendTrailers(['grpc-status', '0'])

  const [headers] = await once(call, 'response')
  expect(headers).toMatchObject({ ':status': 200, 'set-cookie': ['a', 'b'] })
  expect(headers.connection).toBeUndefined()
  const chunks: Buffer[] = []
  for await (const chunk of call) chunks.push(chunk as Buffer)
  expect(Buffer.concat(chunks).toString()).toBe('ok')
  expect(interim).toEqual([103])
  expect(trailers).toBe('0')
})

test('a request that its client gives up is told, and one that we give up is reset', async () => {
  await using server = await start()
  const given = server.client.request({ ':method': 'POST', ':path': '/' })
  given.on('error', () => {})
  given.write('a')
  given.close(constants.NGHTTP2_CANCEL)
  expect(await server.request(0)).toMatchObject({ reset: 'cancel' })

  const taken = server.client.request({ ':path': '/' })
  taken.on('error', () => {})
  const { stream } = await server.request(1)
  stream.reset('refused')
  await new Promise<void>((resolve) => taken.once('close', resolve))
  expect(taken.rstCode).toBe(constants.NGHTTP2_REFUSED_STREAM)
})

test('a drain lets requests in flight end, and the connection closes after them', async () => {
  await using server = await start()
  const call = server.client.request({ ':path': '/' })
  const { stream } = await server.request(0)
  server.connections[0]?.drain()
  await once(server.client, 'goaway')
  stream.sendHead([':status', '204'], true)

  expect((await once(call, 'response'))[0][':status']).toBe(204)
  await once(server.client, 'close')
})

test('a path with a fragment is refused with its reason', async () => {
  await using server = await start()
  const call = server.client.request({ ':authority': 'a', ':path': '/a#b' })

  expect((await once(call, 'response'))[0]).toMatchObject({ ':status': 400, 'x-weft-reason': 'BAD_REQUEST' })
  expect(server.refused).toEqual(['BAD_REQUEST'])
})

test('CONNECT is refused with its reason', async () => {
  await using server = await start()
  const call = server.client.request({ ':method': 'CONNECT', ':authority': 'a:80' })

  expect((await once(call, 'response'))[0]).toMatchObject({ ':status': 405, 'x-weft-reason': 'CONNECT_REFUSED' })
  expect(server.refused).toEqual(['CONNECT_REFUSED'])
})
