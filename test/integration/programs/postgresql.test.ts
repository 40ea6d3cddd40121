// PostgreSQL from Debian with psql and pgbench: the client speaks first, in its own protocol, and may turn to TLS in mid-stream.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { pod } from '../../support/documents.ts'
import {
  expectBothSidecars,
  local,
  meshForFile,
  NOBODY,
  programOf,
  run,
  scratchDirectory,
  seenBy,
  selfSigned,
} from './programs.ts'

const postgres = programOf('postgres', 'postgresql')
const initdb = programOf('initdb', 'postgresql')
const psql = programOf('psql', 'postgresql-client')
const pgbench = programOf('pgbench', 'postgresql')
const setpriv = programOf('setpriv', 'util-linux')
// Not 5432, which needs no detection: here the client's first bytes tell that it is no HTTP.
const PORT = 15432

/** A cluster that lets everybody in and never waits for a disk, with TLS beside plain connections. */
function cluster(): readonly string[] {
  const directory = scratchDirectory('postgresql')
  const data = join(directory, 'data')
  const asNobody = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups']
  const made = ['-D', data, '-U', 'postgres', '--auth=trust', '--no-sync', '--locale=C.UTF-8', '--encoding=UTF8']
  local(setpriv, ...asNobody, initdb, ...made)
  const { certificate, key } = selfSigned(directory, 'postgresql')
  writeFileSync(join(data, 'pg_hba.conf'), 'local all all trust\nhost all all all trust\n')
  const settings = {
    listen_addresses: '*',
    port: `${PORT}`,
    unix_socket_directories: directory,
    fsync: 'off',
    shared_buffers: '32MB',
    ssl: 'on',
    ssl_cert_file: certificate,
    ssl_key_file: key,
  }
  return [postgres, '-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])]
}

const mesh = meshForFile(
  () =>
    pod({ name: 'client' }) +
    pod({
      name: 'postgresql',
      command: cluster(),
      ports: [PORT],
      readiness: { tcpSocket: { port: PORT }, periodSeconds: 1 },
      runAsUser: NOBODY,
    }),
)
const address = (more = '') => `host=postgresql port=${PORT} user=postgres dbname=postgres ${more}`
const query = (sql: string, more = 'sslmode=disable') =>
  run(mesh(), 'client-0', [psql, '-X', '-At', '-v', 'ON_ERROR_STOP=1', address(more)], { input: sql })

test('psql asks through both sidecars, each of which knows both identities', async () => {
  expect(await query('SELECT 6 * 7;')).toBe('42\n')

  const way = {
    client: 'client-0',
    server: 'postgresql-0',
    port: PORT,
    kind: 'connection',
    protocol: 'opaque',
  } as const
  await expectBothSidecars(mesh(), way)
})

test('a connection that turns to TLS in mid-stream ends it at the database, not at a sidecar', async () => {
  const asked = 'SELECT ssl, version, client_dn IS NULL FROM pg_stat_ssl WHERE pid = pg_backend_pid();'

  expect(await query(asked, 'sslmode=require')).toBe('t|TLSv1.3|t\n')
  expect(await query(asked)).toBe('f||t\n')
})

test('a table is copied in and out as it was', async () => {
  const rows = Array.from({ length: 50_000 }, (_, i) => `${i}\tthe text of row ${i} with ünïcödé\n`).join('')
  await query('CREATE TABLE copied (id int, note text);')
  await query(`COPY copied FROM STDIN;\n${rows}\\.\n`)

  expect((await query('COPY copied TO STDOUT;')) === rows).toBe(true)
})

test('pgbench loses no transaction: eight clients for five seconds, and a new connection for each of a hundred', async () => {
  await run(mesh(), 'client-0', [pgbench, '-i', '-s', '2', '-q', address('sslmode=disable')])
  const long = await run(mesh(), 'client-0', [pgbench, '-c', '8', '-j', '2', '-T', '5', address('sslmode=disable')])
  expect(long).toContain('number of failed transactions: 0 (0.000%)')
  expect(Number(/number of transactions actually processed: (\d+)/.exec(long)?.[1])).toBeGreaterThan(100)

  const before = seenBy(mesh(), 'postgresql-0', PORT).length
  const short = await run(mesh(), 'client-0', [pgbench, '-C', '-S', '-c', '4', '-t', '25', address('sslmode=disable')])
  expect(short).toContain('number of transactions actually processed: 100/100')
  expect(short).toContain('number of failed transactions: 0 (0.000%)')
  await expect.poll(() => seenBy(mesh(), 'postgresql-0', PORT).length - before).toBeGreaterThanOrEqual(100)
})
