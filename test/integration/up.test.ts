// weft up and down on this machine: what they make, what they leave, and what they say when something is wrong.
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, test } from 'vitest'
import type { MeshState } from '../../cli/up/state.ts'
import { startMesh, type TestMesh } from '../support/mesh.ts'
import { remainsOf } from '../support/remains.ts'
import { weft, weftUp } from '../support/weft-command.ts'

const scratch = mkdtempSync(join(tmpdir(), 'weft-up-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

/** Answers with who it is; /slow after a second; on both families. */
const SERVER = `
const { createServer } = require('node:http')
const answer = (response) => response.end(JSON.stringify({ pod: process.env.POD_NAME, replica: process.env.WEFT_REPLICA }))
createServer((request, response) => {
  if (request.url !== '/slow') return answer(response)
  console.log('slow request begins')
  setTimeout(answer, 1000, response)
}).listen(8080, '::', () => console.log('hello listens'))
process.on('SIGTERM', () => setTimeout(() => process.exit(0), 1500))`

const get = (url: string) => ['node', '-e', `fetch('${url}').then((r) => r.text()).then(console.log)`]

const workload = (name: string, more: Record<string, unknown>) =>
  JSON.stringify({
    apiVersion: 'weft.dev/v1alpha1',
    kind: 'Workload',
    metadata: { name, namespace: 'shop', labels: { app: name } },
    spec: more,
  })
const service = (name: string) =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'shop' },
    spec: { selector: { app: name }, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
  })
const mesh = (name: string, spec: Record<string, unknown> = {}) =>
  JSON.stringify({ apiVersion: 'weft.dev/v1alpha1', kind: 'Mesh', metadata: { name }, spec })

const READY = { httpGet: { path: '/', port: 8080 }, periodSeconds: 1 }
const HELLO = [
  service('hello'),
  workload('hello', { replicas: 2, command: ['node', '-e', SERVER], readinessProbe: READY }),
  workload('client', { command: ['sleep', 'infinity'] }),
].join('\n---\n')
const IDLE = workload('idle', { inject: false, command: ['sleep', 'infinity'] })

let meshes = 0
function file(...documents: string[]): { name: string; path: string } {
  const name = `up-${process.pid}-${meshes++}`
  const path = join(scratch, `${name}.yaml`)
  const text = documents.some((document) => document.includes('"kind":"Mesh"')) ? documents : [mesh(name), ...documents]
  writeFileSync(path, text.join('\n---\n'))
  return { name, path }
}

async function eventually(isTrue: () => Promise<boolean> | boolean, limitMs = 60_000): Promise<number> {
  const startedAt = performance.now()
  while (!(await isTrue())) {
    if (performance.now() - startedAt > limitMs) throw new Error(`not true within ${limitMs} ms`)
    await sleep(20)
  }
  return performance.now() - startedAt
}

const stateOf = (name: string) => JSON.parse(readFileSync(`/run/weft/${name}/state.json`, 'utf8')) as MeshState

describe('a mesh that is up', () => {
  test('services are reached by their names as in Kubernetes, each replica knows who it is, and down leaves nothing', async () => {
    let name: string
    {
      await using up = await startMesh(HELLO)
      name = up.name
      const seen = new Set<string>()
      for (const host of ['hello', 'hello.shop', 'hello.shop.svc', 'hello.shop.svc.cluster.local']) {
        for (let round = 0; round < 4; round++) {
          const { stdout, stderr } = await up.exec('client-0', get(`http://${host}/`))
          expect(stderr).toBe('')
          seen.add(stdout.trim())
        }
      }
      expect([...seen].sort()).toEqual(['{"pod":"hello-0","replica":"0"}', '{"pod":"hello-1","replica":"1"}'])
      const six = await up.exec('client-0', get(`http://[${up.virtualAddressOf('hello', 6)}]/`))
      expect(six.stdout).toContain('"pod":"hello-')
      const one = await up.exec('client-0', get('http://hello-1.hello:8080/'))
      expect(one.stdout.trim()).toBe('{"pod":"hello-1","replica":"1"}')
      expect(up.log('hello-0')).toContain('hello listens')
      expect(remainsOf(name).length).toBeGreaterThan(8)
    }
    expect(remainsOf(name)).toEqual([])
  })

  test('what dies comes back: a sidecar within a second or so, an application, control and certs', async () => {
    await using up = await startMesh(HELLO)
    const { running } = up
    const hello = running.pods.get('hello-0')
    const reach = async () => (await up.exec('client-0', get('http://hello-0.hello:8080/'))).stdout.includes('hello-0')

    const sidecar = hello?.sidecar?.pid ?? 0
    process.kill(sidecar, 'SIGKILL')
    await eventually(() => hello?.ready === false)
    const awayMs = await eventually(() => hello?.ready === true)
    expect(awayMs).toBeLessThan(5_000)
    expect(hello?.sidecar?.pid).not.toBe(sidecar)
    expect(await reach()).toBe(true)

    process.kill(hello?.application?.pid ?? 0, 'SIGKILL')
    await eventually(() => hello?.ready === false)
    await eventually(() => hello?.ready === true)
    await eventually(reach)

    expect(running.state.system.map((part) => part.name)).toEqual(['certs', 'control'])
    for (const { pid } of running.state.system) process.kill(pid ?? 0, 'SIGKILL')
    expect(await reach()).toBe(true)
    await eventually(() => running.state.system.every(({ pid, restarts }) => pid !== null && restarts === 1))
    await eventually(async () => (await weft(['status', '--mesh', up.name])).stdout.match(/connected/g)?.length === 3)
    const { stdout } = await weft(['status', '--mesh', up.name])
    expect(stdout).toMatch(/^certs: process \d+, started again once \(SIGKILL\)$/m)
    expect(stdout).toMatch(/^control: process \d+, started again once \(SIGKILL\)$/m)

    const state = running.state
    expect(state.pods.find(({ name }) => name === 'hello-0')).toMatchObject({
      application: { restarts: 1, lastEnd: 'SIGKILL' },
      sidecar: { restarts: 1, lastEnd: 'SIGKILL' },
    })
  })

  test('an application that fails its liveness probe is started anew', async () => {
    const probe = { httpGet: { path: '/', port: 8080 }, periodSeconds: 1, failureThreshold: 1 }
    // It answers three times, then it is alive but hangs.
    const server = `let left = 3
      require('node:http').createServer((_, response) => left-- > 0 && response.end()).listen(8080, '0.0.0.0')`
    const spec = { inject: false, command: ['node', '-e', server], readinessProbe: READY, livenessProbe: probe }
    await using up = await startMesh(workload('frozen', spec))
    await eventually(() => (up.running.pods.get('frozen-0')?.application?.restarts ?? 0) >= 1)
  })

  test('a request in flight is answered although the mesh goes down, while outbound works on', async () => {
    let answer: ReturnType<TestMesh['exec']>
    {
      await using up = await startMesh(HELLO)
      answer = up.exec('client-0', get('http://hello/slow'))
      await eventually(() => ['hello-0', 'hello-1'].some((pod) => up.log(pod).includes('slow request begins')))
    }
    expect((await answer).stdout).toContain('"pod":"hello-')
  })

  test('two meshes run side by side in ranges of their own', async () => {
    await using one = await startMesh(IDLE)
    await using two = await startMesh(IDLE)
    expect(one.addressOf('idle-0')).not.toBe(two.addressOf('idle-0'))
    await one.running.down()
    expect(remainsOf(one.name)).toEqual([])
    expect(remainsOf(two.name)).not.toEqual([])
    expect((await two.exec('idle-0', ['hostname'])).code).toBe(0)
  })

  test('a user without a sidecar gets the pods behind a service name, and an unknown name fails at once', async () => {
    await using up = await startMesh([service('idle'), IDLE].join('\n---\n'))
    const { stdout } = await up.exec('idle-0', ['getent', 'ahosts', 'idle.shop.svc.cluster.local'])
    expect(stdout).toContain(up.addressOf('idle-0'))
    const startedAt = performance.now()
    expect((await up.exec('idle-0', ['getent', 'hosts', 'example.com'])).code).not.toBe(0)
    expect(performance.now() - startedAt).toBeLessThan(3_000)
  })

  test('an application runs as the user that its security context names, in its directory', async () => {
    const command = ['sh', '-c', 'echo "$(id -u):$(id -g) in $(pwd)"; exec sleep infinity']
    const spec = { inject: false, command, workingDir: '/tmp', securityContext: { runAsUser: 1234, runAsGroup: 5678 } }
    await using up = await startMesh(workload('user', spec))
    await eventually(() => up.log('user-0').includes('1234:5678 in /tmp'))
    expect((await up.exec('user-0', ['id', '-u'])).stdout.trim()).toBe('1234')
  })
})

describe('weft on the command line', () => {
  test('Ctrl-C takes the mesh down and leaves nothing', async () => {
    const { name, path } = file(IDLE)
    const child = await weftUp(path)
    child.kill('SIGINT')
    const [code] = await once(child, 'exit')
    expect(code).toBe(0)
    expect(remainsOf(name)).toEqual([])
  })

  test('a detached mesh is seen, used and taken down by its name; a second up of it is refused', async () => {
    const { name, path } = file(IDLE, service('idle'))
    const up = await weft(['up', '--detach', path])
    expect(up).toMatchObject({ code: 0, stderr: '' })
    try {
      const status = await weft(['status', '--mesh', name, '-o', 'json'])
      expect(JSON.parse(status.stdout)).toMatchObject({
        mesh: name,
        phase: 'up',
        pods: [{ name: 'idle-0', ready: true }],
      })
      expect((await weft(['status', '--mesh', name])).stdout).toMatch(/idle-0\.shop +yes +none/)
      expect(await weft(['exec', 'idle', '--mesh', name, '--', 'sh', '-c', 'echo $POD_NAME; exit 7'])).toEqual({
        code: 7,
        stdout: 'idle-0\n',
        stderr: '',
      })
      const again = await weft(['up', path])
      expect(again.code).toBe(1)
      expect(again.stderr).toContain(`mesh ${name} is up already`)
      expect((await weft(['exec', 'nobody', '--mesh', name, '--', 'true'])).stderr).toContain('It has: idle')
    } finally {
      expect((await weft(['down', name])).stdout).toContain(`mesh ${name} is down`)
    }
    expect(remainsOf(name)).toEqual([])
  })

  test('what a killed supervisor leaves is removed by down, and by the next up', async () => {
    const { name, path } = file(IDLE)
    expect((await weft(['up', '--detach', path])).code).toBe(0)
    process.kill(stateOf(name).supervisor.pid, 'SIGKILL')
    expect((await weft(['status', '--mesh', name])).stderr).toContain(`weft down ${name}`)
    const down = await weft(['down', name])
    expect(down).toMatchObject({ code: 0, stdout: expect.stringContaining('removed what was left') })
    expect(remainsOf(name)).toEqual([])

    expect((await weft(['up', '--detach', path])).code).toBe(0)
    process.kill(stateOf(name).supervisor.pid, 'SIGKILL')
    const next = await weft(['up', '--detach', path])
    expect(next.stdout).toContain('removed what a killed run left: 1 processes, 2 namespaces')
    expect((await weft(['down', name])).code).toBe(0)
    expect(remainsOf(name)).toEqual([])
  })

  test.each([
    ['no such file', ['up', '/nowhere/mesh.yaml'], '/nowhere/mesh.yaml cannot be read: there is no such file'],
    ['a directory', ['up', '/tmp'], '/tmp cannot be read: it is a directory'],
    ['no file', ['up'], 'weft COMMAND --help'],
    ['a lifetime that is none', ['up', 'x', '--svid-lifetime', 'soon'], '--svid-lifetime soon: want a duration of 30s'],
    ['an exec without --', ['exec', 'web', 'ls', '-l'], 'The command stands after --'],
    ['down of a mesh that is not', ['down', 'nowhere'], 'mesh nowhere is not up'],
    ['an unknown command', ['upp', 'x'], 'Did you mean up?'],
  ])('%s is an error with a way out, and no stack', async (_, argv, text) => {
    const { code, stderr } = await weft(argv)
    expect(code).toBe(1)
    expect(stderr).toContain(text)
    expect(stderr).not.toContain('    at ')
  })

  test('who is not root is told what it needs root for', async () => {
    const { path } = file(IDLE)
    // The folder of the checkout may be closed to others, so root is taken away from a weft that has started.
    const { code, stderr } = await weft(['up', path], { as: ['setpriv', '--reuid=65534', '--clear-groups', '--'] })
    expect(code).not.toBe(0)
    expect(stderr).toMatch(/needs root: it makes network namespaces and iptables rules|Permission denied/)
  })
})

describe('a mesh that cannot come up says why, and leaves nothing', () => {
  const upFails = async (documents: string[]) => {
    const { name, path } = file(...documents)
    const { code, stderr } = await weft(['up', path])
    expect(code).toBe(1)
    expect(stderr).not.toContain('    at ')
    expect(remainsOf(name)).toEqual([])
    return stderr
  }

  test('a command that cannot be found', async () => {
    const stderr = await upFails([workload('lost', { inject: false, command: ['no-such-program'] })])
    expect(stderr).toContain('Workload shop/lost: the command "no-such-program" is not found in PATH')
  })

  test('an application that ends at once, with its last lines', async () => {
    const command = ['sh', '-c', 'echo no database at 10.0.0.9 >&2; exit 3']
    const stderr = await upFails([workload('broken', { inject: false, command })])
    expect(stderr).toMatch(/application of pod broken-0 ended \d times \(exit 3\)/)
    expect(stderr).toContain('| no database at 10.0.0.9')
  })

  test('ranges of addresses that another mesh has', async () => {
    await using other = await startMesh(IDLE)
    const taken = other.running.plan.ranges.pods[0]?.text ?? ''
    const stderr = await upFails([mesh('clash', { podCIDRs: [taken], serviceCIDRs: ['10.200.0.0/24'] }), IDLE])
    expect(stderr).toContain(`address range in conflict: ${taken} of the Mesh meets ${taken} of mesh ${other.name}`)
  })

  test('mistakes in the documents, all of them with their place', async () => {
    const stderr = await upFails([workload('bad', { command: [], replicas: -1 })])
    expect(stderr).toMatch(/2 mistakes in/)
    expect(stderr).toMatch(/\.yaml:3:\d+: Workload shop\/bad: spec\.command: found/)
  })
})
