// nginx and curl from Debian: HTTP/1.1 as the most used client and server speak it, and 1 GiB both ways in bounded memory.

import { spawnSync } from 'node:child_process'
import { closeSync, openSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { pod } from '../../support/documents.ts'
import { type Nginx, nginxPod, PORTS } from './nginx.ts'
import {
  cpuSecondsOf,
  expectBothSidecars,
  local,
  memoryOf,
  meshForFile,
  programOf,
  resetPeak,
  run,
  scratchDirectory,
  seenBy,
} from './programs.ts'

const curl = programOf('curl', 'curl')
const openssl = programOf('openssl', 'openssl')
const GIB = 1 << 30
/** What a sidecar may grow by while 1 GiB passes each way. Measured: 76 to 95 MiB for HTTP, 5 to 15 MiB for bytes. */
const GROWTH_LIMIT_MIB = { http: 128, bytes: 64 }

let nginx: Nginx
const mesh = meshForFile(() => {
  nginx = nginxPod()
  return pod({ name: 'client' }) + nginx.documents
})
const url = (path: string) => `http://nginx:${PORTS.http}${path}`
const ask = (...argv: readonly string[]) => run(mesh(), 'client-0', [curl, '-sS', '--max-time', '30', ...argv])

beforeAll(() => {
  writeFileSync(join(nginx.root, 'alphabet'), 'abcdefghijklmnopqrstuvwxyz')
})

test('a request passes both sidecars, each of which knows both identities', async () => {
  expect(await ask(url('/alphabet'))).toBe('abcdefghijklmnopqrstuvwxyz')

  await expectBothSidecars(mesh(), { client: 'client-0', server: 'nginx-0', port: PORTS.http, kind: 'request' })
})

test('HEAD tells the length and brings no body', async () => {
  const head = await ask('--head', url('/alphabet'))

  expect(head).toMatch(/^HTTP\/1\.1 200 /)
  expect(head.toLowerCase()).toContain('content-length: 26\r\n')
})

test('ranges of a file are answered as asked', async () => {
  expect(await ask('--range', '2-4', url('/alphabet'))).toBe('cde')
  expect(await ask('--range', '-3', url('/alphabet'))).toBe('xyz')
  expect(await ask('-w', '%{http_code}', '-o', '/dev/null', '--range', '90-', url('/alphabet'))).toBe('416')
})

test('a client of HTTP/1.0 is served, with and without keep-alive', async () => {
  expect(await ask('--http1.0', url('/alphabet'))).toBe('abcdefghijklmnopqrstuvwxyz')
  const kept = ['--http1.0', '-H', 'Connection: keep-alive', '-w', ' %{num_connects}\n']
  const said = await ask(...kept, url('/alphabet'), url('/alphabet'))
  expect(said).toMatch(/^abcdefghijklmnopqrstuvwxyz 1\nabcdefghijklmnopqrstuvwxyz 0\n$/)
})

test('Expect: 100-continue is answered by the application before the body is sent', async () => {
  const file = join(scratchDirectory('curl', 0), 'body')
  writeFileSync(file, 'x'.repeat(100_000))
  const argv = ['-v', '--expect100-timeout', '20', '-H', 'Expect: 100-continue', '-T', file, url('/upload/expected')]
  const startedAt = performance.now()
  const { code, stderr } = await mesh().exec('client-0', [curl, '-sS', ...argv])

  expect(code).toBe(0)
  expect(stderr).toContain('< HTTP/1.1 100 Continue')
  expect(stderr).toContain('< HTTP/1.1 201 Created')
  // Without the interim answer curl would have waited for the twenty seconds that it was given.
  expect(performance.now() - startedAt).toBeLessThan(10_000)
})

test('an upload of unknown length comes chunked and whole', async () => {
  const body = Array.from({ length: 20_000 }, (_, i) => `line ${i}\n`).join('')
  const argv = [curl, '-sS', '-T', '-', '-o', '/dev/null', '-w', '%{http_code}', url('/upload/chunked')]

  expect(await run(mesh(), 'client-0', argv, { input: body })).toBe('201')
  expect((await ask(url('/upload/chunked'))) === body).toBe(true)
  expect(await ask('-X', 'DELETE', '-w', '%{http_code}', url('/upload/chunked'))).toBe('204')
})

test('fifty requests of one curl use one connection', async () => {
  const said = await ask('-w', ' %{num_connects}\n', ...Array.from({ length: 50 }, () => url('/seen')))
  const lines = said
    .trim()
    .split('\n')
    .filter((line) => /^ \d$/.test(line))

  expect(lines.map(Number)).toEqual([1, ...Array.from({ length: 49 }, () => 0)])
})

test('what a client pipelines is answered in order', async () => {
  const count = 200
  const requests = Array.from({ length: count }, (_, i) => `GET /seen?${i} HTTP/1.1\r\nHost: nginx:8080\r\n`)
  const text = `${requests.join('\r\n')}Connection: close\r\n\r\n`
  // It does not end its half: a client that does so behind a request which is not its last is taken to have left.
  const raw = `exec 3<>/dev/tcp/nginx/${PORTS.http}; cat >&3; cat <&3`
  const received = await run(mesh(), 'client-0', ['bash', '-c', raw], { input: text })

  expect([...received.matchAll(/uri=\[\/seen\?(\d+)\]/g)].map(([, number]) => Number(number))).toEqual(
    Array.from({ length: count }, (_, i) => i),
  )
})

test('HTTP/2 with prior knowledge passes by request', async () => {
  // One request each: curl 7.88 cannot use such a connection a second time, with nobody between either.
  const url = `http://nginx:${PORTS.http2}/seen`
  for (let i = 0; i < 3; i++) {
    expect(await ask('--http2-prior-knowledge', `${url}?${i}`)).toContain(
      `GET HTTP/2.0 expect=[] host=[nginx:${PORTS.http2}]`,
    )
  }

  const way = { client: 'client-0', server: 'nginx-0', port: PORTS.http2, kind: 'request', atLeast: 3 } as const
  await expectBothSidecars(mesh(), way)
  expect(seenBy(mesh(), 'nginx-0', PORTS.http2).map(({ line }) => line['network.protocol.version'])).toContain('2')
})

test('HTTP/2 inside the application’s own TLS passes as bytes', async () => {
  const urls = Array.from({ length: 20 }, (_, i) => `https://nginx:${PORTS.https}/seen?${i}`)
  const said = await ask('--http2', '--insecure', '--parallel', ...urls)
  expect(said.match(/GET HTTP\/2\.0 /g)).toHaveLength(20)

  const ends = { client: 'client-0', server: 'nginx-0', kind: 'connection' } as const
  await expectBothSidecars(mesh(), { ...ends, port: PORTS.https, protocol: 'tls' })
})

// Bytes first: what HTTP has made a process grow by stays with it for a while.
test('1 GiB inside the application’s own TLS goes down and up as it was, and each sidecar’s memory stays bounded', async () => {
  await expectGigabyte(`https://nginx:${PORTS.https}`, ['--insecure'], GROWTH_LIMIT_MIB.bytes)
  await expectBothSidecars(mesh(), {
    client: 'client-0',
    server: 'nginx-0',
    port: PORTS.https,
    kind: 'connection',
    protocol: 'tls',
  })
})

test('1 GiB of HTTP/1.1 goes down and up as it was, and each sidecar’s memory stays bounded', async () => {
  await expectGigabyte(url(''), [], GROWTH_LIMIT_MIB.http)
  await expectBothSidecars(mesh(), { client: 'client-0', server: 'nginx-0', port: PORTS.http, kind: 'request' })
})

async function expectGigabyte(base: string, options: readonly string[], limitMiB: number): Promise<void> {
  const expected = makeGigabyte(join(nginx.root, 'gigabyte'))
  const before = pods().map((name) => {
    resetPeak(mesh(), name)
    return { name, idle: memoryOf(mesh(), name).residentMiB, cpu: cpuSecondsOf(mesh(), name) }
  })
  const given = [curl, '-sS', '--fail', '--max-time', '120', ...options].join(' ')
  const down = `set -o pipefail; ${given} ${base}/gigabyte | ${openssl} dgst -sha256 -r`
  expect((await run(mesh(), 'client-0', ['bash', '-c', down], { timeoutMs: 150_000 })).slice(0, 64)).toBe(expected)
  const file = join(nginx.root, 'gigabyte')
  const up = [curl, '-sS', '--fail', '--max-time', '120', ...options, '-T', file, `${base}/upload/gigabyte`]
  await run(mesh(), 'client-0', up, { timeoutMs: 150_000 })
  expect(local(openssl, 'dgst', '-sha256', '-r', join(nginx.root, 'upload/gigabyte')).slice(0, 64)).toBe(expected)

  for (const { name, idle, cpu } of before) {
    const growth = memoryOf(mesh(), name).peakMiB - idle
    const spent = (cpuSecondsOf(mesh(), name) - cpu) / 2
    console.log(
      `${name}: ${spent.toFixed(2)} CPU s a GiB, grew by ${growth.toFixed(0)} MiB over ${idle.toFixed(0)} MiB`,
    )
    expect(growth, name).toBeLessThan(limitMiB)
  }
}

const pods = () => ['client-0', 'nginx-0']

/** Bytes that repeat nowhere, so that a block in the wrong place is seen; its SHA-256. */
function makeGigabyte(file: string): string {
  const to = openSync(file, 'w')
  const key = ['-K', '00'.repeat(16), '-iv', '00'.repeat(16)]
  const zeros = `head -c ${GIB} /dev/zero | ${openssl} enc -aes-128-ctr ${key.join(' ')}`
  const { status } = spawnSync('bash', ['-c', zeros], { stdio: ['ignore', to, 'inherit'] })
  closeSync(to)
  expect([status, statSync(file).size]).toEqual([0, GIB])
  return local(openssl, 'dgst', '-sha256', '-r', file).slice(0, 64)
}
