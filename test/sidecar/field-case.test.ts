// The case of field names outside of the head, between two applications of HTTP/1.1 with HTTP/2 between their sidecars. Bytes, not parsers.
import { createServer, connect as dial, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { pairFor, shared } from '../support/http2-pair.ts'
import { portOf } from '../support/pair.ts'

const REQUEST = `POST / HTTP/1.1\r\nHost: catalog\r\nTransfer-Encoding: chunked\r\nTrailer: X-Asked\r\nConnection: close\r\n\r\n`
const REQUEST_BODY = '4\r\nbody\r\n0\r\nX-Asked: Yes\r\nx-weft-original: 1.1 EVIL\r\nlower: a\r\n\r\n'
const INTERIM = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-Hint: 1\r\nx-weft-original: 1.1 EVIL\r\nlower: b\r\n\r\n'
const ANSWER = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n'
const ANSWER_BODY = '4\r\nbody\r\n0\r\nX-Sum: 4\r\nx-weft-original: 1.1 EVIL\r\nlower: c\r\n\r\n'

const open = new Set<{ destroy(): void }>()
afterEach(() => {
  for (const each of open) each.destroy()
  open.clear()
})

/** All that came, once it ends with that. */
function heard(socket: Socket, end: string): Promise<string> {
  open.add(socket)
  socket.on('error', () => {})
  return new Promise((resolve) => {
    let text = ''
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      if (text.endsWith(end)) resolve(text)
    })
  })
}

test('names of trailers and of 1xx heads keep their case both ways, and nobody else can change one', async () => {
  let asked = ''
  const app = createServer(async (socket) => {
    asked = await heard(socket, 'lower: a\r\n\r\n')
    socket.end(INTERIM + ANSWER + ANSWER_BODY)
  }).listen(0, '127.0.0.1')
  open.add({ destroy: () => app.close() })
  await new Promise((resolve) => app.on('listening', resolve))
  const pair = await pairFor({ application: portOf(app) })
  const socket = dial(pair.port, '127.0.0.1')
  socket.write(REQUEST + REQUEST_BODY)
  const answer = await heard(socket, 'lower: c\r\n\r\n')

  expect(asked).toContain('\r\n0\r\nX-Asked: Yes\r\nlower: a\r\n\r\n')
  expect(answer).toContain('103 Early Hints\r\nLink: </a>\r\nX-Hint: 1\r\nlower: b\r\n\r\n')
  expect(answer).toContain('\r\n0\r\nX-Sum: 4\r\nlower: c\r\n\r\n')
  expect(`${asked}${answer}`).not.toMatch(/weft-original|EVIL/i)
  // By HTTP/2 between the sidecars: else there would be nothing to keep.
  expect(shared(pair)).toMatchObject({ opened: 1 })
})
