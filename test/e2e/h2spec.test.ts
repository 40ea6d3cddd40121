// h2spec, the conformance suite of HTTP/2 and HPACK, against a server that is nothing but our codec.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { listen } from '../../sidecar/flow/listen.fixture.ts'
import type { HttpStream } from '../../sidecar/flow/stream.ts'
import { serveHttp2 } from '../../sidecar/http2/server.ts'

const RUN = join(import.meta.dirname, '../../../shared/tools/run')
const TEXT = Buffer.from('hello, h2spec')

function answer(stream: HttpStream): void {
  stream.sendHead([':status', '200', 'content-type', 'text/plain', 'content-length', String(TEXT.length)], false)
  stream.sendData(TEXT, 0, TEXT.length, true)
}

function accept(stream: HttpStream): void {
  stream.events = {
    onHead: (_fields, end) => end && answer(stream),
    onData: (_bytes, _from, _to, end) => end && answer(stream),
    onTrailers: () => answer(stream),
    onReset() {},
    onDrain() {},
  }
}

test('the codec passes every case of h2spec', async () => {
  const refused: string[] = []
  await using server = await listen((socket) => {
    serveHttp2(socket, null, { accept, onRefused: (code) => refused.push(code), onClose() {} })
  })
  // The first run builds it, which takes a minute or two; a failed case makes it exit with 1, and so rejects.
  const run = promisify(execFile)(RUN, ['h2spec', '-h', '127.0.0.1', '-p', String(server.port), '-o', '2'], {
    maxBuffer: 16 << 20,
  })
  const { stdout } = await run.catch((error: { stdout?: string }) => ({ stdout: error.stdout ?? String(error) }))

  // With the list of failures where there are any.
  expect(stdout.slice(stdout.indexOf('Finished'))).toMatch(/145 tests, 145 passed, 0 skipped, 0 failed/)
  expect(refused).toContain('BAD_REQUEST')
})
