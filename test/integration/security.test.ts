// What an attacker beside or inside a pod can reach, in real namespaces with the real redirection.
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startMesh, type TestMesh } from '../support/mesh.ts'

const MESH = `
apiVersion: v1
kind: Service
metadata: { name: victim, namespace: shop }
spec: { selector: { app: victim }, ports: [{ name: http, port: 8080 }] }
---
apiVersion: weft.dev/v1alpha1
kind: MeshPolicy
metadata: { name: open, namespace: shop }
spec: { mtls: { mode: Permissive } }
---
apiVersion: weft.dev/v1alpha1
kind: Workload
metadata: { name: victim, namespace: shop, labels: { app: victim } }
spec:
  command: [node, -e, "require('node:http').createServer((q, r) => r.end('of the victim')).listen(8080, '::')"]
  ports: [{ containerPort: 8080 }]
---
apiVersion: weft.dev/v1alpha1
kind: Workload
metadata: { name: strict, namespace: safe, labels: { app: strict } }
spec:
  command: [node, -e, "require('node:http').createServer((q, r) => r.end('of the strict')).listen(8080, '::')"]
---
apiVersion: weft.dev/v1alpha1
kind: Workload
metadata: { name: neighbour, namespace: shop, labels: { app: neighbour } }
spec: { inject: false, command: [sleep, infinity] }
`

let mesh: TestMesh
beforeAll(async () => {
  mesh = await startMesh(MESH)
})
afterAll(async () => {
  await mesh[Symbol.asyncDispose]()
})

const shell = (pod: string, script: string) => mesh.exec(pod, ['sh', '-c', script], { timeoutMs: 30_000 })
const curl = (pod: string, url: string) => shell(pod, `curl -sS -m 3 -o - -w ' %{http_code}' '${url}' 2>&1`)
const restarts = () => [...mesh.running.pods.values()].map((pod) => pod.sidecar?.restarts ?? 0)

describe('a pod is no way to anywhere else', () => {
  test('a neighbour that routes an address of its choice through a Permissive pod gets nowhere', async () => {
    const victim = mesh.addressOf('victim-0')
    expect((await curl('neighbour-0', `http://${victim}:8080/`)).stdout).toBe('of the victim 200')
    // Control's receiver of spans answers in clear whoever reaches it.
    const other = mesh.running.plan.gateways[0]?.address ?? ''
    expect((await curl('neighbour-0', `http://${other}:4318/`)).stdout).toContain('404')
    const { stdout } = await shell(
      'neighbour-0',
      `ip route add ${other}/32 via ${victim}
       curl -sS -m 3 -o - -w ' %{http_code}' http://${other}:4318/ 2>&1
       ip route del ${other}/32`,
    )

    expect(stdout).toContain('000')
    expect(stdout).not.toContain('404')
  })

  test('nor does it reach the admin pages on the loopback of the pod', async () => {
    const victim = mesh.addressOf('victim-0')
    const self = mesh.addressOf('neighbour-0')
    const { stdout } = await shell(
      'neighbour-0',
      `ip addr flush dev lo
       for file in /proc/sys/net/ipv4/conf/*/route_localnet; do echo 1 > $file; done
       ip route add 127.0.0.1/32 via ${victim} src ${self}
       ip route get 127.0.0.1
       curl -sS -m 3 -w ' answered %{http_code}' -H 'Host: localhost' http://127.0.0.1:15000/certificates 2>&1
       ip route del 127.0.0.1/32
       ip addr add 127.0.0.1/8 dev lo`,
    )

    expect(stdout).toContain(`127.0.0.1 via ${victim}`)
    expect(stdout).not.toContain('spiffe')
    // curl has many words for no answer, by the moment in which the connection is reset.
    expect(stdout).toContain(' answered 000')
  })
})

describe('loops', () => {
  test.each([15000, 15001, 15006, 15020, 15021])(
    'no connection to port %i of a pod or of a service comes round, whoever opens it',
    async (port) => {
      const before = restarts()
      const own = mesh.addressOf('victim-0')
      const targets = [
        own,
        `[${mesh.addressOf('victim-0', 6)}]`,
        `[::ffff:${own}]`,
        '127.0.0.1',
        '127.0.0.2',
        '[::1]',
        '0.0.0.0',
        mesh.virtualAddressOf('victim'),
        mesh.addressOf('strict-0'),
      ]
      const urls = targets.map((host) => `'http://${host}:${port}/loop'`).join(' ')
      const { stdout } = await shell(
        'victim-0',
        `for url in ${urls}; do curl -sS -g -m 2 -o /dev/null -w '%{http_code}\\n' "$url" 2>/dev/null & done; wait`,
      )

      const answers = stdout.trim().split('\n')
      expect(answers).toHaveLength(targets.length)
      // Only the sidecar answers: its pages with 403 and 404, and 503 for a pod that has no such port.
      expect(answers.filter((answer) => !['000', '403', '404', '503'].includes(answer))).toEqual([])
      expect(restarts()).toEqual(before)
      const connections = async () =>
        JSON.parse((await shell('victim-0', 'curl -sS -m 2 http://127.0.0.1:15000/connections')).stdout) as object
      await expect.poll(connections).toMatchObject({ outbound: { http: { active: 0 } } })
    },
  )
})

describe('ports', () => {
  test('control, certs and a Strict pod give a neighbour without an identity no byte in clear', async () => {
    const gateway = mesh.running.plan.gateways[0]?.address ?? ''
    const strict = mesh.addressOf('strict-0')
    const ports = [
      `${gateway}:15010`,
      `${gateway}:15012`,
      `${strict}:8080`,
      `${strict}:15000`,
      `${strict}:15001`,
      `${strict}:15006`,
    ]
    const answers = await Promise.all(ports.map((port) => curl('neighbour-0', `http://${port}/config_dump`)))

    expect(answers.map(({ stdout }) => stdout.trim().slice(-3))).toEqual(ports.map(() => '000'))
  })

  test('control ends the handshake of a caller without a certificate', async () => {
    const gateway = mesh.running.plan.gateways[0]?.address ?? ''
    const { stdout } = await shell(
      'neighbour-0',
      `printf 'PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n' | timeout 3 openssl s_client -connect ${gateway}:15010 -alpn h2 -quiet 2>&1`,
    )

    expect(stdout).toMatch(/certificate required/i)
  })
})

describe('files', () => {
  test('what is secret is for its owner alone, and no secret stands in an environment or a command line', () => {
    const { paths, pods } = mesh.running
    const secrets = [paths.tokens, paths.state, join(paths.control, 'token')]
    for (const name of pods.keys()) {
      const directory = join(paths.pods, name)
      if (pods.get(name)?.sidecar === null) continue
      expect(statSync(directory).mode & 0o777).toBe(0o700)
      for (const file of readdirSync(directory)) secrets.push(join(directory, file))
    }
    for (const file of readdirSync(paths.authority))
      if (file.endsWith('.key')) secrets.push(join(paths.authority, file))

    const open = secrets.filter((file) => (statSync(file).mode & 0o077) !== 0)
    expect(open).toEqual([])
    expect(secrets.some((file) => file.endsWith('root.key'))).toBe(true)
    expect(statSync(paths.controlSocket).mode & 0o777).toBe(0o600)
    const token = readFileSync(join(paths.pods, 'victim-0', 'token'), 'utf8')
    const pids = [...pods.values()].flatMap(({ sidecar, application }) => [sidecar?.pid, application?.pid])
    const told = pids.flatMap((pid) =>
      pid == null ? [] : ['environ', 'cmdline'].map((file) => readFileSync(`/proc/${pid}/${file}`, 'utf8')),
    )
    expect(told.length).toBeGreaterThan(0)
    expect(told.filter((text) => text.includes(token))).toEqual([])
  })
})
