// What the tests add to the shop: pods that call when a test asks, and an echo of several replicas to be replaced under load.
import { WEFT } from './installation.ts'
import { get, kubectl } from './kubectl.ts'
import { blamingTheMachine } from './machine.ts'

const IMAGE = 'mesh.local/shop:dev'
/** Of test/fixtures/apps/caller.ts; its sidecar leaves it alone. */
const ORDERS_PORT = 9100

interface Workload {
  readonly name: string
  readonly command: readonly string[]
  readonly replicas?: number
  readonly readinessProbe?: object
  readonly annotations?: Readonly<Record<string, string>>
  readonly graceSeconds?: number
}

function workload(workload: Workload): readonly object[] {
  const { name, command, replicas = 1, readinessProbe, annotations = {}, graceSeconds } = workload
  const labels = { app: name }
  const container = { name, image: IMAGE, command, ...(readinessProbe && { readinessProbe }) }
  const spec = {
    serviceAccountName: name,
    containers: [container],
    ...(graceSeconds && { terminationGracePeriodSeconds: graceSeconds }),
  }
  const template = { metadata: { labels, annotations }, spec }
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name },
      spec: { replicas, selector: { matchLabels: labels }, template },
    },
  ]
}

/** Node as process 1 does not end by itself, hence the short time to end. */
export const caller = (name: string): readonly object[] =>
  workload({
    name,
    command: ['node', 'test/fixtures/apps/caller.ts'],
    readinessProbe: { tcpSocket: { port: ORDERS_PORT }, periodSeconds: 1 },
    annotations: { 'config.weft.dev/skip-inbound-ports': `${ORDERS_PORT}` },
    graceSeconds: 3,
  })

export const echo = (replicas: number): readonly object[] => [
  ...workload({
    name: 'echo',
    command: ['node', 'test/fixtures/apps/echo.ts'],
    replicas,
    readinessProbe: { httpGet: { path: '/', port: 8080 }, periodSeconds: 1 },
  }),
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'echo' },
    spec: { selector: { app: 'echo' }, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
  },
]

/** Probes of every kind, under their own ports; `idle` has no port of its own and asks at those of `app`. */
export function probed({ key, cert }: { readonly key: string; readonly cert: string }): object {
  const labels = { app: 'probed' }
  const quick = { periodSeconds: 1, failureThreshold: 60, timeoutSeconds: 5 }
  const app = {
    name: 'app',
    image: IMAGE,
    command: ['node', 'test/fixtures/apps/probed.ts'],
    env: Object.entries({ KEY: key, CERT: cert }).map(([name, value]) => ({ name, value })),
    ports: [{ name: 'web', containerPort: 8080 }],
    startupProbe: {
      ...quick,
      httpGet: { path: '/up?x=1', port: 'web', httpHeaders: [{ name: 'X-Probe', value: 'yes' }] },
    },
    livenessProbe: { ...quick, tcpSocket: { port: 9000 } },
    readinessProbe: { ...quick, failureThreshold: 1, grpc: { port: 9090, service: 'shop' } },
    lifecycle: { preStop: { httpGet: { path: '/leave', port: 'web' } } },
  }
  const idle = {
    name: 'idle',
    image: IMAGE,
    command: ['sleep', '3600'],
    startupProbe: { ...quick, exec: { command: ['test', '-e', '/app/package.json'] } },
    livenessProbe: { ...quick, exec: { command: ['true'] } },
    readinessProbe: { ...quick, httpGet: { path: '/secure', port: 8443, scheme: 'HTTPS' } },
  }
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'probed' },
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { terminationGracePeriodSeconds: 10, containers: [app, idle] } },
    },
  }
}

/** A pod that asks for a service once and ends. */
export const visit = (name: string, url: string): object => ({
  apiVersion: 'batch/v1',
  kind: 'Job',
  metadata: { name },
  spec: {
    backoffLimit: 0,
    template: {
      metadata: { labels: { app: name } },
      spec: {
        restartPolicy: 'Never',
        containers: [
          { name, image: IMAGE, command: ['node', '-e', `fetch('${url}').then(r => process.exit(r.ok ? 0 : 1))`] },
        ],
      },
    },
  },
})

/** Nothing to do with networks: whether it may be made is the question. */
export const idlePod = (name: string): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: { terminationGracePeriodSeconds: 1, containers: [{ name: 'idle', image: IMAGE, command: ['sleep', '600'] }] },
})

export async function untilReady(namespace: string): Promise<void> {
  const kinds = (await kubectl('-n', namespace, 'get', 'deployments,statefulsets', '-o', 'name')).trim().split('\n')
  const statuses = () =>
    Promise.all(kinds.map((one) => kubectl('-n', namespace, 'rollout', 'status', one, '--timeout=180s')))
  await blamingTheMachine(statuses)
}

/** A part of Weft, which has gone when this ends. Returns the way back. */
export async function takeAway(component: string): Promise<() => Promise<void>> {
  const deployment = `deployment/weft-${component}`
  const { spec } = await get<{ spec: { replicas: number } }>(WEFT, deployment)
  const scale = (replicas: number) => kubectl('-n', WEFT, 'scale', deployment, `--replicas=${replicas}`)
  await scale(0)
  const pods = ['pods', '-l', `app.kubernetes.io/component=${component}`]
  await kubectl('-n', WEFT, 'wait', '--for=delete', ...pods, '--timeout=90s')
  return async () => {
    await scale(spec.replicas)
    await untilReady(WEFT)
  }
}
