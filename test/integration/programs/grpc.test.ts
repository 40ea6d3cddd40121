// grpc-js at both ends, in network namespaces: every kind of call, balanced one by one, while a replica goes away.
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { pod } from '../../support/documents.ts'
import { expectBothSidecars, meshForFile, run } from './programs.ts'

const PORT = 9090
const TARGET = `rpc:${PORT}`

const mesh = meshForFile(
  () =>
    pod({ name: 'client' }) +
    pod({
      name: 'rpc',
      replicas: 2,
      command: ['sh', '-c', 'exec node test/integration/programs/grpc-server.ts $(hostname -I | tr -d " ")'],
      ports: [{ port: PORT, appProtocol: 'grpc' }],
      readiness: { tcpSocket: { port: PORT }, periodSeconds: 1 },
    }),
)

const client = (...argv: readonly string[]) => ['node', 'test/integration/programs/grpc-client.ts', ...argv]
const parsed = async (...argv: readonly string[]) => JSON.parse(await run(mesh(), 'client-0', client(...argv)))

test('every kind of call works, with statuses, trailers and deadlines', async () => {
  expect(await parsed('kinds', TARGET, '1000')).toMatchObject({
    unary: [0, expect.stringMatching(/ hello 7$/), [expect.any(String)]],
    failed: [5, 'no such thing'],
    late: 4,
    collected: 'x+y+z',
    expanded: 1000,
    chat: ['a', 'b', 'c'],
  })
  await expectBothSidecars(mesh(), { client: 'client-0', server: 'rpc-0', port: PORT, kind: 'request' })
})

test('calls of one connection are balanced one by one over two replicas', async () => {
  const { names, codes } = (await parsed('many', TARGET, '100')) as { names: Record<string, number>; codes: object }
  expect(codes).toEqual({ 0: 100 })
  expect(Object.values(names)).toHaveLength(2)
  for (const count of Object.values(names)) expect(count).toBeGreaterThan(20)
})

test('no call fails while a replica is stopped', async () => {
  const caller = mesh().spawn('client-0', client('steady', TARGET), { stdio: ['pipe', 'pipe', 'inherit'] })
  if (caller.stdout === null) throw new Error('no output')
  await once(caller.stdout, 'readable')
  const output = text(caller.stdout)
  const leaving = mesh().running.pods.get('rpc-1')
  leaving?.markTerminating()
  mesh().running.publish()
  await leaving?.stop()
  caller.stdin?.end()
  const [, line = ''] = (await output).split('\n')
  const codes = JSON.parse(line) as Record<string, number>

  expect(Object.keys(codes)).toEqual(['0'])
  expect(codes['0']).toBeGreaterThan(10)
})
