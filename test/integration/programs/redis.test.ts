// redis-cli and redis-server from Debian: the client speaks first, in bytes that are no HTTP.
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { pod } from '../../support/documents.ts'
import { expectBothSidecars, meshForFile, NOBODY, programOf, run, scratchDirectory } from './programs.ts'

const server = programOf('redis-server', 'redis-server')
const client = programOf('redis-cli', 'redis-tools')
const benchmark = programOf('redis-benchmark', 'redis-tools')
// Not 6379, which needs no detection: here the client's first bytes tell that it is no HTTP.
const PORT = 7379
// Nothing is saved to a disk by these tests.
const options = ['--protected-mode', 'no', '--bind', '*', '-::*', '--save', '3600 1000000', '--appendonly', 'no']

const mesh = meshForFile(
  () =>
    pod({ name: 'client' }) +
    pod({
      name: 'redis',
      command: [server, '--port', `${PORT}`, ...options, '--dir', scratchDirectory('redis')],
      ports: [PORT],
      readiness: { tcpSocket: { port: PORT }, periodSeconds: 1 },
      runAsUser: NOBODY,
    }),
)
const cli = (argv: readonly string[], input = '') =>
  run(mesh(), 'client-0', [client, '-h', 'redis', '-p', `${PORT}`, ...argv], { input })

test('redis-cli sets and gets through both sidecars, each of which knows both identities', async () => {
  expect(await cli(['SET', 'colour', 'green'])).toBe('OK\n')
  expect(await cli(['GET', 'colour'])).toBe('green\n')

  await expectBothSidecars(mesh(), {
    client: 'client-0',
    server: 'redis-0',
    port: PORT,
    kind: 'connection',
    protocol: 'opaque',
    atLeast: 2,
  })
})

test('ten thousand commands sent as one pipeline are all answered', async () => {
  const lines = Array.from({ length: 10_000 }, (_, i) => `SET key:${i} value:${i}\r\n`).join('')
  const said = await cli(['--pipe'], lines)

  expect(said).toContain('errors: 0, replies: 10000')
  expect(await cli(['DBSIZE'])).toBe('10001\n')
})

test('a value of 32 MiB comes back as it was', async () => {
  const value = Buffer.alloc(24 << 20, 'a value that repeats, but not at a power of two;').toString('base64')
  await cli(['-x', 'SET', 'big'], value)

  expect((await cli(['GET', 'big'])) === `${value}\n`).toBe(true)
})

test('what is published reaches those who have subscribed, in order, while both connections stay open', async () => {
  const subscriber = mesh().spawn('client-0', [client, '-h', 'redis', '-p', `${PORT}`, 'SUBSCRIBE', 'news'], {
    stdio: 'pipe',
  })
  let heard = ''
  subscriber.stdout?.setEncoding('utf8').on('data', (text: string) => {
    heard += text
  })
  try {
    await expect.poll(() => heard, { timeout: 30_000 }).toContain('subscribe')
    const numbers = Array.from({ length: 100 }, (_, i) => i)
    await cli([], numbers.map((i) => `PUBLISH news message-${i}`).join('\n'))

    await expect.poll(() => heard, { timeout: 30_000 }).toContain('message-99')
    expect([...heard.matchAll(/message-(\d+)/g)].map(([, number]) => Number(number))).toEqual(numbers)
  } finally {
    const ended = once(subscriber, 'close')
    subscriber.kill()
    await ended
  }
})

test('redis-benchmark finishes with fifty connections and pipelines of sixteen', async () => {
  const argv = ['-h', 'redis', '-p', `${PORT}`, '-c', '50', '-n', '20000', '-P', '16', '-t', 'set,get,lpush', '--csv']
  const rows = (await run(mesh(), 'client-0', [benchmark, ...argv])).trim().split('\n').slice(1)

  expect(rows.map((row) => row.split(',')[0])).toEqual(['"SET"', '"GET"', '"LPUSH"'])
})
