// MariaDB from Debian with its client: the server speaks first, so neither side of the mesh may wait for the client for long.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { sendBytes } from '../../support/calls.ts'
import { pod } from '../../support/documents.ts'
import { expectBothSidecars, local, meshForFile, NOBODY, programOf, run, scratchDirectory } from './programs.ts'

const mariadbd = programOf('mariadbd', 'mariadb-server')
const install = programOf('mariadb-install-db', 'mariadb-server')
const client = programOf('mariadb', 'mariadb-client')
const dump = programOf('mariadb-dump', 'mariadb-client')
const setpriv = programOf('setpriv', 'util-linux')
/** Known as a port whose servers speak first. */
const PORT = 3306
/** Not known: the first client is waited for, for 20 ms, and the verdict is remembered. */
const OTHER_PORT = 13306
/** What a person notices; on a busy machine one of five may take three times that. */
const NOTICED_MS = 300

function database(): readonly string[] {
  const directory = scratchDirectory('mariadb')
  const data = join(directory, 'data')
  const options = ['--no-defaults', `--datadir=${data}`, '--skip-name-resolve', '--innodb-flush-log-at-trx-commit=0']
  const asNobody = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups']
  const made = ['--auth-root-authentication-method=normal', '--skip-test-db', ...options]
  local(setpriv, ...asNobody, install, ...made)
  if (!existsSync(data)) throw new Error('mariadb-install-db made nothing')
  const listen = [
    `--port=${PORT}`,
    `--extra-port=${OTHER_PORT}`,
    '--bind-address=*',
    `--socket=${join(directory, 'socket')}`,
  ]
  // A database without users: this test is of the mesh.
  return [mariadbd, ...options, ...listen, '--skip-grant-tables', `--pid-file=${join(directory, 'pid')}`]
}

const mesh = meshForFile(
  () =>
    pod({ name: 'client' }) +
    pod({
      name: 'mariadb',
      command: database(),
      ports: [PORT, OTHER_PORT],
      readiness: { tcpSocket: { port: PORT }, periodSeconds: 1 },
      runAsUser: NOBODY,
    }),
)
const to = ['--no-defaults', '--protocol=tcp', '-h', 'mariadb', '-P', `${PORT}`, '-u', 'root']
const sql = (text: string, database = '') =>
  run(mesh(), 'client-0', [client, ...to, '--batch', '--skip-column-names', ...(database ? [database] : [])], {
    input: text,
  })

test.each([
  ['a port known for that', PORT],
  ['any other port', OTHER_PORT],
])('the greeting of the server comes without a delay that a person notices, on %s', async (_, port) => {
  const heard = []
  for (let i = 0; i < 5; i++) heard.push(await sendBytes(mesh(), 'client-0', { host: 'mariadb', port, text: '' }))

  for (const { received, firstByteMs } of heard) {
    expect(received).toContain('MariaDB')
    expect(firstByteMs).toBeLessThan(3 * NOTICED_MS)
  }
  const sorted = heard.map(({ firstByteMs }) => firstByteMs ?? Number.POSITIVE_INFINITY).toSorted((a, b) => a - b)
  expect(sorted.at(3)).toBeLessThan(NOTICED_MS)
  console.log(`port ${port}: greeting after ${heard.map(({ firstByteMs }) => firstByteMs?.toFixed(0)).join(', ')} ms`)
  const way = { client: 'client-0', server: 'mariadb-0', port, kind: 'connection', protocol: 'opaque' } as const
  await expectBothSidecars(mesh(), { ...way, atLeast: heard.length })
})

test('the client asks through both sidecars, each of which knows both identities', async () => {
  expect(await sql('SELECT 6 * 7;')).toBe('42\n')

  const way = { client: 'client-0', server: 'mariadb-0', port: PORT, kind: 'connection', protocol: 'opaque' } as const
  await expectBothSidecars(mesh(), way)
})

test('a dump of 50,000 rows imported into another database is the same again', async () => {
  const rows = Array.from({ length: 50_000 }, (_, i) => `(${i}, 'the text of row ${i}')`)
  await sql('CREATE DATABASE first; CREATE DATABASE second;')
  await sql('CREATE TABLE t (id int primary key, note varchar(80));', 'first')
  await sql(`INSERT INTO t VALUES ${rows.join(',')};`, 'first')
  const dumped = () => [dump, ...to, '--skip-comments', '--single-transaction']
  const text = await run(mesh(), 'client-0', [...dumped(), 'first'])
  await sql(text, 'second')

  expect(await sql('SELECT COUNT(*), SUM(id) FROM t;', 'second')).toBe(`50000\t${(50_000 * 49_999) / 2}\n`)
  expect((await run(mesh(), 'client-0', [...dumped(), 'second'])) === text).toBe(true)
})
