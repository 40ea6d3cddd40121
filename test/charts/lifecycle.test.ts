import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createOwners } from '#shared/kube/installation.ts'
import { type Kubectl, startKubectl } from './api-server.ts'
import { startGarbageCollector } from './garbage-collector.ts'
import { tool } from './helm.ts'

let kubectl: Kubectl
/** The charts as they were before they were last changed. */
let before: string
beforeAll(async () => {
  kubectl = await startKubectl()
  before = await mkdtemp(join(tmpdir(), 'weft-charts-before-'))
  const [, commit = 'HEAD'] = git(['log', '-2', '--format=%H', '--', 'charts']).toString().trim().split('\n')
  execFileSync('tar', ['-x', '-C', before], { input: git(['archive', commit, 'charts']) })
})
afterAll(async () => {
  await kubectl[Symbol.asyncDispose]()
  await rm(before, { recursive: true, force: true })
})

function git(parameters: readonly string[]): Buffer {
  return execFileSync('git', parameters, { maxBuffer: 64 * 1024 * 1024 })
}

function helm(...parameters: readonly string[]): string {
  const place = ['--kubeconfig', kubectl.kubeconfig, '--namespace', 'weft-system']
  const { status, stdout, stderr } = tool('helm', [...parameters, ...place])
  if (status !== 0) throw new Error(stderr)
  return stdout
}

/** For a moment after a CRD has come or gone the API server contradicts itself about its kinds. */
const SOON = { timeout: 30_000, interval: 500 }

/** Everything that there is, by kind and name, save what changes by itself. */
function everything(): readonly string[] {
  const kinds = kubectl
    .run(['api-resources', '--verbs=list', '-o', 'name'])
    .output.split('\n')
    .filter((kind) => kind !== '' && !/^(events|leases|componentstatuses|apiservices)\b/.test(kind))
  const { status, output } = kubectl.run(['get', kinds.join(','), '-A', '-o', 'name', '--ignore-not-found'])
  if (status !== 0) throw new Error(output)
  return output
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('Warning'))
    .toSorted()
}

const AS_IF_RUNNING = [
  { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'weft-root' }, stringData: { 'tls.crt': 'root' } },
  { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'weft-trust-bundle' }, data: { 'bundle.pem': 'root' } },
  {
    apiVersion: 'weft.dev/v1alpha1',
    kind: 'TrafficPolicy',
    metadata: { name: 'quick' },
    spec: { targetRefs: [{ group: '', kind: 'Service', name: 'catalog' }], timeouts: { connect: '1s' } },
  },
]

/** What a mesh has by the time of its first upgrade: a root, its bundle, a policy of its user. */
function makeAsIfRunning(): string {
  const list = { apiVersion: 'v1', kind: 'List', items: AS_IF_RUNNING }
  const { status, output } = kubectl.run(['-n', 'weft-system', 'create', '-f', '-'], JSON.stringify(list))
  if (status !== 0) throw new Error(output)
  return uidsOfRunning()
}

function uidsOfRunning(): string {
  const names = AS_IF_RUNNING.map(({ kind, metadata }) => `${kind.toLowerCase()}/${metadata.name}`)
  const { status, output } = kubectl.run([
    '-n',
    'weft-system',
    'get',
    ...names,
    '-o',
    'jsonpath={.items[*].metadata.uid}',
  ])
  if (status !== 0) throw new Error(output)
  return output
}

test('helm installs what was there before the last change, upgrades to this, goes back, and leaves nothing behind', async () => {
  kubectl.run(['create', 'namespace', 'weft-system'])
  const clean = everything()
  helm('install', 'weft-crds', join(before, 'charts/weft-crds'))
  helm('install', 'weft', join(before, 'charts/weft'))
  const kept = makeAsIfRunning()
  helm('upgrade', 'weft-crds', 'charts/weft-crds')
  const notes = helm('upgrade', 'weft', 'charts/weft', '-f', 'charts/weft/values-ha.yaml')
  expect(notes).toContain('kubectl label namespace YOUR-NAMESPACE weft.dev/inject=enabled')
  expect(notes).toContain('The CRDs of the Gateway API are not installed')
  await expect.poll(everything, SOON).toContain('poddisruptionbudget.policy/weft-control')
  expect(uidsOfRunning()).toEqual(kept)
  helm('rollback', 'weft', '1')
  await expect.poll(everything, SOON).not.toContain('poddisruptionbudget.policy/weft-control')
  expect(uidsOfRunning()).toEqual(kept)
  helm('uninstall', 'weft')
  helm('uninstall', 'weft-crds')
  // These have no owner; those that certs makes have one (the next test).
  kubectl.run(['-n', 'weft-system', 'delete', 'secret/weft-root', 'configmap/weft-trust-bundle'])
  await expect.poll(everything, SOON).toEqual(clean)
})

test('what Weft makes while it runs goes with it, in namespaces of others too, save a root that is to stay', async () => {
  kubectl.run(['create', 'namespace', 'shop'])
  const clean = everything()
  helm('install', 'weft', 'charts/weft')
  const ownerReferences = await createOwners(kubectl.client)()
  expect(ownerReferences).toMatchObject([{ name: 'weft-installation', uid: expect.stringMatching(/./) }])
  const owned = [
    ['Secret', 'v1', 'weft-system', 'weft-injector-certificate'],
    ['ConfigMap', 'v1', 'weft-system', 'weft-trust-bundle'],
    ['ConfigMap', 'v1', 'shop', 'weft-trust-bundle'],
  ].map(([kind, apiVersion, namespace, name]) => ({ apiVersion, kind, metadata: { namespace, name, ownerReferences } }))
  const kept = { apiVersion: 'v1', kind: 'Secret', metadata: { namespace: 'weft-system', name: 'weft-root' } }
  const list = { apiVersion: 'v1', kind: 'List', items: [...owned, kept] }
  expect(kubectl.run(['create', '-f', '-'], JSON.stringify(list))).toMatchObject({ status: 0 })
  await using _collector = await startGarbageCollector(kubectl.kubeconfig)
  helm('uninstall', 'weft')
  await expect.poll(everything, SOON).toEqual([...clean, 'secret/weft-root'].toSorted())
  kubectl.run(['-n', 'weft-system', 'delete', 'secret/weft-root'])
})

test('what the injector has put into its webhook outlives an upgrade', () => {
  helm('install', 'weft', 'charts/weft')
  const at = 'mutatingwebhookconfiguration/weft-injector'
  const bundle = Buffer.from('-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n').toString('base64')
  const patch = [{ op: 'add', path: '/webhooks/0/clientConfig/caBundle', value: bundle }]
  const { output } = kubectl.run(['patch', at, '--type=json', '-p', JSON.stringify(patch)])
  expect(output).toContain('patched')
  helm('upgrade', 'weft', 'charts/weft', '--set', 'control.replicas=2')
  const { output: kept } = kubectl.run(['get', at, '-o', 'jsonpath={.webhooks[0].clientConfig.caBundle}'])
  expect(kept).toBe(bundle)
})
