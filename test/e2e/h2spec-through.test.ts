// h2spec to three servers of HTTP/2, through two sidecars and, for comparison, directly. A failure through them needs its rule of RFC 9113 in
// docs/http2-conformance.md; there is none.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { programOf } from '../integration/programs/programs.ts'
import { type ForeignServer, listening, start } from '../support/foreign-server.ts'
import { freePorts } from '../support/free-ports.ts'
import { type CaseResult, runH2spec } from '../support/h2spec.ts'
import { startHttp2App } from '../support/http2.ts'
import { startPair } from '../support/pair.ts'

const BODY = 'hello, h2spec: long enough for windows of some bytes\n'
/** Of h2spec 2.2.1. */
const CASES = 145

const toClose: AsyncDisposable[] = []
afterEach(async () => {
  for (const each of toClose.splice(0).reverse()) await each[Symbol.asyncDispose]()
})

function kept(server: ForeignServer): ForeignServer {
  toClose.push(server)
  return server
}

function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'weft-h2spec-'))
  toClose.push({
    async [Symbol.asyncDispose]() {
      rmSync(directory, { recursive: true, force: true })
    },
  })
  return directory
}

async function nghttpd(): Promise<number> {
  const program = programOf('nghttpd', 'nghttp2-server')
  const [directory, [port = 0]] = [scratch(), await freePorts(1)]
  writeFileSync(join(directory, 'index.html'), BODY)
  return listening(kept(start(program, ['--no-tls', '-a', '127.0.0.1', '-d', directory, `${port}`])), port)
}

async function nginx(): Promise<number> {
  const program = programOf('nginx', 'nginx')
  const [directory, [port = 0]] = [scratch(), await freePorts(1)]
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => {
    mkdirSync(join(directory, kind))
    return `${kind}_temp_path ${directory}/${kind};`
  })
  const file = join(directory, 'nginx.conf')
  // In one process, so that ending it leaves none behind.
  writeFileSync(
    file,
    `daemon off; master_process off; user root; pid ${directory}/pid; events {}
http { access_log off; ${temporary.join(' ')} server { listen 127.0.0.1:${port} http2; return 200 "${BODY}"; } }`,
  )
  return listening(kept(start(program, ['-p', directory, '-e', 'stderr', '-c', file])), port)
}

async function node(): Promise<number> {
  const app = await startHttp2App((stream) => {
    stream.respond({ ':status': 200, 'content-length': BODY.length })
    stream.end(BODY)
  })
  toClose.push(app)
  return app.port
}

const failed = (results: ReadonlyMap<string, CaseResult>) =>
  Object.fromEntries([...results].filter(([, result]) => result !== 'passed'))

test.each([
  ['nghttpd', nghttpd],
  ['nginx', nginx],
  ['node:http2', node],
])(
  'every case of h2spec passes through two sidecars to %s, also those that it fails itself',
  async (_, application) => {
    const port = await application()
    const pair = await startPair({ application: port })
    toClose.push(pair)

    const [direct, through] = await Promise.all([runH2spec(port, 1), runH2spec(pair.port, 2)])
    // Requests, not bytes: else the server behind would be what is tested.
    const requests = pair.events.client.filter((event) => event.kind === 'request')

    expect([direct.size, through.size]).toEqual([CASES, CASES])
    // Where it does pass directly there is a server to compare with.
    expect(Object.keys(failed(direct)).length).toBeLessThan(CASES / 2)
    expect(failed(through)).toEqual({})
    expect(requests.length).toBeGreaterThan(50)
  },
)
