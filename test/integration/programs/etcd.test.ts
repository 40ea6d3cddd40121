// etcd and etcdctl from Debian: gRPC as Go speaks it, with streams that stay open, and HTTP/1.1 on the same port.
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { pod } from '../../support/documents.ts'
import { expectBothSidecars, meshForFile, NOBODY, programOf, run, scratchDirectory, seenBy } from './programs.ts'

const server = programOf('etcd', 'etcd-server')
const client = programOf('etcdctl', 'etcd-client')
const PORT = 2379
/** The load that `etcdctl check datascale` calls small. */
const PUTS = 10_000

const mesh = meshForFile(() => {
  const options = {
    '--data-dir': scratchDirectory('etcd'),
    '--listen-client-urls': `http://0.0.0.0:${PORT}`,
    '--advertise-client-urls': `http://127.0.0.1:${PORT}`,
    '--listen-peer-urls': 'http://127.0.0.1:2380',
    '--log-level': 'warn',
  }
  return (
    pod({ name: 'client' }) +
    pod({
      name: 'etcd',
      command: [server, ...Object.entries(options).flat(), '--unsafe-no-fsync'],
      // Not declared: gRPC and HTTP/1.1 come on this one port.
      ports: [PORT],
      readiness: { httpGet: { path: '/health', port: PORT }, periodSeconds: 1 },
      runAsUser: NOBODY,
    })
  )
})
const ENVIRONMENT = ['env', 'ETCDCTL_API=3', `ETCDCTL_ENDPOINTS=http://etcd:${PORT}`]
const etcdctl = (...argv: readonly string[]) =>
  run(mesh(), 'client-0', [...ENVIRONMENT, client, ...argv], { timeoutMs: 120_000 })

interface Following extends AsyncDisposable {
  readonly process: ChildProcess
  /** What it has written so far. */
  text(): string
}

/** A command of etcdctl that goes on. */
function following(...argv: readonly string[]): Following {
  const child = mesh().spawn('client-0', [...ENVIRONMENT, client, ...argv], { stdio: ['ignore', 'pipe', 'inherit'] })
  const chunks: string[] = []
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => chunks.push(chunk))
  return {
    process: child,
    text: () => chunks.join(''),
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null) return
      const closed = once(child, 'close')
      child.kill()
      await closed
    },
  }
}

/** A watch has no sign of its beginning: it is there when it has seen a key of the test's own. */
async function watching(prefix: string, ...options: readonly string[]): Promise<Following> {
  const watch = following('watch', '--prefix', prefix, ...options)
  const seesIt = async () => {
    await etcdctl('put', `${prefix}begin`, 'now')
    return watch.text()
  }
  await expect.poll(seesIt, { timeout: 30_000 }).not.toBe('')
  return watch
}

test('keys are put and read as requests of gRPC, by and from known identities', async () => {
  expect(await etcdctl('put', 'colour', 'green')).toBe('OK\n')
  expect(await etcdctl('get', 'colour')).toBe('colour\ngreen\n')
  const said = JSON.parse(await etcdctl('get', 'colour', '-w', 'json')) as { count: number }
  expect(said.count).toBe(1)

  await expectBothSidecars(mesh(), { client: 'client-0', server: 'etcd-0', port: PORT, kind: 'request' })
  const paths = seenBy(mesh(), 'client-0', PORT).map(({ line }) => line['url.path'])
  expect(paths).toContain('/etcdserverpb.KV/Put')
})

test('a watch sees what others put and delete, in order, while it stays one stream', async () => {
  await using watch = await watching('watched/')
  for (let i = 0; i < 20; i++) await etcdctl('put', 'watched/key', `value-${i}`)
  await etcdctl('del', 'watched/key')

  await expect.poll(() => watch.text(), { timeout: 30_000 }).toContain('DELETE\nwatched/key\n')
  expect([...watch.text().matchAll(/value-(\d+)/g)].map(([, number]) => Number(number))).toEqual(
    Array.from({ length: 20 }, (_, i) => i),
  )
})

test('a lease that is kept alive outlives its time, and one that is not takes its key along', async () => {
  const grant = async () => /lease (\w+) granted/.exec(await etcdctl('lease', 'grant', '8'))?.[1] ?? ''
  const [kept, left] = [await grant(), await grant()]
  await using keeper = following('lease', 'keep-alive', kept)
  await using watch = await watching('leased/')
  await etcdctl('put', 'leased/kept', 'yes', `--lease=${kept}`)
  await etcdctl('put', 'leased/left', 'yes', `--lease=${left}`)

  await expect.poll(() => watch.text(), { timeout: 30_000 }).toContain('DELETE\nleased/left\n')
  // One keep-alive in each third of its time, on one stream: four of them outlive it.
  await expect.poll(() => keeper.text().match(/keepalived/g)?.length ?? 0, { timeout: 30_000 }).toBeGreaterThan(3)
  expect(await etcdctl('get', 'leased/kept')).toBe('leased/kept\nyes\n')
  expect(await etcdctl('get', 'leased/left')).toBe('')
  await etcdctl('lease', 'revoke', kept)
  await expect.poll(() => watch.text(), { timeout: 30_000 }).toContain('DELETE\nleased/kept\n')
})

test('ten thousand puts over fifty clients are all answered, and a watcher sees every one', async () => {
  const prefix = '/etcdctl-check-datascale/'
  await using watch = await watching(prefix, '-w', 'fields')
  await etcdctl('del', '--prefix', prefix)
  await expect.poll(() => watch.text(), { timeout: 30_000 }).toContain('"Type" : DELETE')
  const before = countPuts(watch.text())
  const said = await etcdctl('check', 'datascale', '--load', 's', '--prefix', prefix)

  expect(said).toContain('PASS')
  await expect.poll(() => countPuts(watch.text()) - before, { timeout: 60_000 }).toBe(PUTS)
  const ended = () =>
    seenBy(mesh(), 'etcd-0', PORT).filter(({ line }) => line['url.path'] === '/etcdserverpb.KV/Put').length
  await expect.poll(ended, { timeout: 30_000 }).toBeGreaterThanOrEqual(PUTS)
})

const countPuts = (text: string) => text.match(/"Type" : PUT/g)?.length ?? 0
