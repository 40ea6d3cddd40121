// The application behind http2-load.test.ts and http2-floods.test.ts, a process of its own: HTTP/2 by Node. /bytes/N answers with N bytes, made as they are
// taken; its parent is told of the bytes taken so far whenever it asks.
import { createServer, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'

const PIECE = Buffer.alloc(64 * 1024, 'x')
let taken = 0

function* bytes(count: number): Generator<Buffer> {
  for (let left = count; left > 0; left -= PIECE.length) {
    const piece = left < PIECE.length ? PIECE.subarray(0, left) : PIECE
    taken += piece.length
    yield piece
  }
}

const server = createServer()
server.on('stream', (stream: ServerHttp2Stream, headers) => {
  const [, count] = /^\/bytes\/(\d+)$/.exec(headers[':path'] ?? '') ?? []
  stream.on('error', () => {})
  stream.respond({ ':status': 200 })
  if (count === undefined) stream.end('hello')
  else Readable.from(bytes(Number(count)), { objectMode: false, highWaterMark: PIECE.length }).pipe(stream)
})
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
process.on('message', () => process.send?.(taken)).once('disconnect', () => process.exit(0))
