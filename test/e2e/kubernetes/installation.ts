// Weft itself, as a person would put it into a cluster: Helm, two charts.
import { join } from 'node:path'
import { kubectl, run, SHARED, succeed } from './kubectl.ts'
import { blamingTheMachine } from './machine.ts'

export const WEFT = 'weft-system'
const GATEWAY_CRDS = 'httproutes.gateway.networking.k8s.io'
/** Of what lies outside of namespaces. */
const CLUSTER_KINDS =
  'mutatingwebhookconfigurations,validatingwebhookconfigurations,clusterroles,clusterrolebindings,customresourcedefinitions'
const PART_OF_WEFT = 'app.kubernetes.io/part-of=weft'

export interface Installation extends AsyncDisposable {
  /** Again does nothing. */
  uninstall(): Promise<void>
}

const helm = (...argv: readonly string[]) => succeed(join(SHARED, 'tools/run'), ['helm', ...argv])

/** `values` are arguments of `helm install`. WEFT_E2E_INSTALLED=1: tests the Weft that is there, and leaves it; for work on a test. */
export async function installWeft(...values: readonly string[]): Promise<Installation> {
  if (process.env['WEFT_E2E_INSTALLED'] === '1') {
    return { uninstall: () => Promise.resolve(), [Symbol.asyncDispose]: () => Promise.resolve() }
  }
  const before = await remainsOfWeft()
  if (before.length > 0) {
    throw new Error(`Weft is in this cluster already (WEFT_E2E_INSTALLED=1 tests that one):\n${before.join('\n')}`)
  }
  return install(values)
}

async function install(values: readonly string[]): Promise<Installation> {
  let isGatewayOurs = false
  const uninstall = async () => {
    await uninstallWeft()
    if (isGatewayOurs) await kubectl('delete', '-f', await gatewayApiCrds(), '--ignore-not-found')
    isGatewayOurs = false
  }
  try {
    if ((await run('kubectl', ['get', 'crd', GATEWAY_CRDS])).status !== 0) {
      isGatewayOurs = true
      await kubectl('apply', '--server-side', '-f', await gatewayApiCrds())
    }
    await helm('install', 'weft-crds', 'charts/weft-crds', '--namespace', WEFT, '--create-namespace')
    const images = ['--set', 'image.registry=mesh.local', '--set', 'image.tag=dev']
    const argv = ['charts/weft', '--namespace', WEFT, ...images, ...values, '--wait', '--timeout', '3m']
    await blamingTheMachine(() => helm('install', 'weft', ...argv))
  } catch (error) {
    await uninstall().finally(sweep)
    throw error
  }
  return { uninstall, [Symbol.asyncDispose]: () => uninstall().finally(sweep) }
}

/** What Helm has left, so that the next run finds a clean cluster though this one has failed. */
async function sweep(): Promise<void> {
  await kubectl('delete', CLUSTER_KINDS, '-l', PART_OF_WEFT)
  await kubectl('delete', 'namespace', WEFT, '--ignore-not-found', '--timeout=2m')
}

/** The webhook first: a webhook that nobody answers would keep pods from being made. */
async function uninstallWeft(): Promise<void> {
  await kubectl('delete', 'mutatingwebhookconfigurations,validatingwebhookconfigurations', '-l', PART_OF_WEFT)
  for (const release of ['weft', 'weft-crds']) {
    await helm('uninstall', release, '--namespace', WEFT, '--ignore-not-found', '--wait', '--timeout', '2m')
  }
  await kubectl('delete', 'namespace', WEFT, '--ignore-not-found', '--timeout=2m')
}

/** What of Weft is in the cluster, by name; its own namespace too. */
export async function remainsOfWeft(): Promise<readonly string[]> {
  const objects = await kubectl('get', CLUSTER_KINDS, '-l', PART_OF_WEFT, '-o', 'name')
  const namespace = await kubectl('get', 'namespace', WEFT, '-o', 'name', '--ignore-not-found')
  return `${objects}${namespace}`.split('\n').filter((line) => line !== '')
}

/** The standard channel, from the Go module that the conformance suite is of. */
async function gatewayApiCrds(): Promise<string> {
  const found = await succeed('go', [
    '-C',
    join(SHARED, 'gateway-api'),
    'list',
    '-m',
    '-f',
    '{{.Dir}}',
    'sigs.k8s.io/gateway-api',
  ])
  return join(found.trim(), 'config/crd/standard')
}

/** Ready for who installs Weft himself: the CRDs of the Gateway API, and no Weft. Disposal takes away both. */
export async function prepareForWeft(): Promise<AsyncDisposable> {
  const before = await remainsOfWeft()
  if (before.length > 0) throw new Error(`Weft is in this cluster already:\n${before.join('\n')}`)
  const isGatewayOurs = (await run('kubectl', ['get', 'crd', GATEWAY_CRDS])).status !== 0
  if (isGatewayOurs) await kubectl('apply', '--server-side', '-f', await gatewayApiCrds())
  return {
    async [Symbol.asyncDispose]() {
      await uninstallWeft().finally(sweep)
      if (isGatewayOurs) await kubectl('delete', '-f', await gatewayApiCrds(), '--ignore-not-found')
    },
  }
}
