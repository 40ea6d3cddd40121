// The program of the init container, with the two capabilities that a pod gives it and no others, in namespaces of its own.
import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'

const run = promisify(execFile)
const MAIN = fileURLToPath(new URL('../../injector/init/main.ts', import.meta.url))
const CONFINED = ['setpriv', '--bounding-set', '-all,+net_admin,+net_raw', '--inh-caps', '-all', '--no-new-privs']
const NOTHING = ['setpriv', '--bounding-set', '-all', '--inh-caps', '-all', '--no-new-privs']
const namespace = `t-init-${process.pid}`
const LOCK = `/dev/shm/${namespace}.lock`

beforeEach(() => run('ip', ['netns', 'add', namespace]))
afterEach(async () => {
  await run('ip', ['netns', 'del', namespace])
  await rm(LOCK, { force: true })
})

function inPod(argv: readonly string[]) {
  return run('ip', ['netns', 'exec', namespace, ...argv])
}

function init(environment: Record<string, string> = {}, confinement = CONFINED) {
  const variables = Object.entries({ XTABLES_LOCKFILE: LOCK, ...environment })
  return inPod([...confinement, 'env', ...variables.map(([name, value]) => `${name}=${value}`), process.execPath, MAIN])
}

async function rules(backend: 'nft' | 'legacy') {
  const [v4, v6] = await Promise.all([
    inPod([`iptables-${backend}-save`, '-t', 'nat']),
    inPod([`ip6tables-${backend}-save`, '-t', 'nat']),
  ])
  const lines = (text: string) => text.split('\n').filter((line) => line.startsWith('-A'))
  return { v4: lines(v4.stdout), v6: lines(v6.stdout) }
}

test('both families are redirected, what the annotations skip is not, and a second run changes nothing', async () => {
  const environment = { WEFT_SKIP_OUTBOUND_PORTS: '25,4000-4010', WEFT_SKIP_SUBNETS: '10.0.0.0/8,fd00::/8' }

  expect((await init(environment)).stdout).toMatch(
    /^all TCP of this pod goes through its sidecar \(nft, IPv4 and IPv6\)/,
  )

  const once = await rules('nft')
  expect(once.v4).toContain('-A WEFT_OUTBOUND -d 10.0.0.0/8 -j RETURN')
  expect(once.v6).toContain('-A WEFT_OUTBOUND -d fd00::/8 -j RETURN')
  for (const family of [once.v4, once.v6]) {
    expect(family).toContain('-A WEFT_OUTBOUND -p tcp -m multiport --dports 25,4000:4010 -j RETURN')
    expect(family).toContain('-A PREROUTING -p tcp -j WEFT_INBOUND')
  }
  await init(environment)
  expect(await rules('nft')).toEqual(once)
})

test('where the pod has rules of the legacy kind, that kind is used', async () => {
  await inPod(['iptables-legacy', '-w', '-t', 'nat', '-A', 'POSTROUTING', '-p', 'udp', '-j', 'RETURN'])

  expect((await init()).stdout).toContain('(legacy, IPv4 and IPv6)')

  expect((await rules('legacy')).v4).toContain('-A PREROUTING -p tcp -j WEFT_INBOUND')
  expect((await rules('nft')).v4).toEqual([])
})

test.each([
  ['a bad setting', { WEFT_SKIP_SUBNETS: 'x' }, CONFINED, 'could not read the settings: WEFT_SKIP_SUBNETS=x'],
  ['no capability', {}, NOTHING, 'could not find the kind of iptables of this node: neither kind works: iptables-nft'],
  [
    'no capability and a kind that was told',
    { WEFT_IPTABLES: 'nft' },
    NOTHING,
    'could not write the rules with iptables-nft: ip',
  ],
])('%s: the step at fault is named and nothing is redirected', async (_what, environment, confinement, message) => {
  await expect(init(environment, confinement)).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining(`weft-init: ${message}`),
  })
  expect(await rules('nft')).toEqual({ v4: [], v6: [] })
})
