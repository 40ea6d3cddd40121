// The example shop of the preset `demo`, in a labelled namespace of its own: what examples/kubernetes/shop.yaml has (test/charts
// compares them), with the image of Weft's registry and as the Pod Security Standard "restricted" wants it.
import type { Maker, ObjectParts } from '../parts.ts'
import { from, isTrue, type Node, type TemplateFile, text, value } from '../template.ts'

type Fields = { readonly [name: string]: Node }

interface App {
  readonly name: string
  /** Of the Service and the account; the name unless there are several releases. */
  readonly app?: string
  readonly kind?: 'Deployment' | 'StatefulSet'
  readonly replicas?: number
  readonly command: readonly string[]
  readonly version?: string
  readonly env?: readonly Node[]
  /** Bytes, not HTTP. */
  readonly tcpPort?: number
}

const POD_INDEX = { fieldRef: { fieldPath: "metadata.labels['apps.kubernetes.io/pod-index']" } }
const APPS: readonly App[] = [
  { name: 'web', command: ['node', 'examples/shop/web.ts'] },
  ...['v1', 'v2'].map((version) => ({
    name: `catalog-${version}`,
    app: 'catalog',
    version,
    command: ['node', 'examples/shop/catalog.ts'],
    env: [{ name: 'VERSION', value: version }],
  })),
  { name: 'cart', command: ['node', 'examples/shop/cart.ts'] },
  { name: 'redis', kind: 'StatefulSet', command: ['redis-server', 'examples/shop/redis.conf'], tcpPort: 6379 },
  { name: 'price-feed', command: ['node', 'examples/shop/price-feed.ts'] },
  {
    name: 'reviews',
    kind: 'StatefulSet',
    replicas: 2,
    command: ['python3', 'examples/shop/reviews.py'],
    env: [{ name: 'WEFT_REPLICA', valueFrom: POD_INDEX }],
  },
]
const REPORT = { name: 'report', command: ['node', 'examples/kubernetes/report.ts'] }

export function shopFile(make: Maker): TemplateFile {
  const inShop = (parts: Omit<ObjectParts, 'component' | 'condition'>) =>
    make({
      namespace: value('demo.shop.namespace'),
      ...parts,
      component: 'shop',
      condition: isTrue('demo.shop.enabled'),
    })
  const accounts = new Set([...APPS.map(({ name, app = name }) => app), REPORT.name])
  return {
    path: 'shop.yaml',
    documents: [
      inShop({
        apiVersion: 'v1',
        kind: 'Namespace',
        name: value('demo.shop.namespace'),
        scope: 'cluster',
        labels: { 'weft.dev/inject': 'enabled' },
        rest: {},
      }),
      ...[...accounts].map((name) =>
        inShop({ apiVersion: 'v1', kind: 'ServiceAccount', name, rest: { automountServiceAccountToken: false } }),
      ),
      ...services().map(([name, spec]) => inShop({ apiVersion: 'v1', kind: 'Service', name, rest: { spec } })),
      ...APPS.map((app) => inShop(workload(app))),
      inShop(report()),
    ],
  }
}

function services(): readonly (readonly [string, Fields])[] {
  const portsOf = ({ tcpPort }: App): Node =>
    tcpPort === undefined
      ? [{ name: 'http', port: 8080, appProtocol: 'http' }]
      : [{ name: 'redis', port: tcpPort, appProtocol: 'tcp' }]
  const found = new Map<string, Fields>()
  for (const one of APPS) {
    const { name, app = name, tcpPort } = one
    const headless: Fields = tcpPort === undefined ? {} : { clusterIP: 'None' }
    found.set(app, { ...headless, selector: { app }, ports: portsOf(one) })
    if (app !== name) found.set(name, { selector: labelsOf(one), ports: portsOf(one) })
  }
  return [...found]
}

const labelsOf = ({ name, app = name, version }: App): Fields => ({ app, ...(version !== undefined && { version }) })

function workload(one: App): Omit<ObjectParts, 'component' | 'condition'> {
  const { name, app = name, kind = 'Deployment', replicas, tcpPort, env, command } = one
  const probe = tcpPort === undefined ? { httpGet: { path: '/ready', port: 8080 } } : { tcpSocket: { port: tcpPort } }
  const container = {
    name: app,
    command,
    ...(env !== undefined && { env }),
    ports: [{ containerPort: tcpPort ?? 8080 }],
    readinessProbe: { ...probe, periodSeconds: 2 },
  }
  const spec = {
    ...(kind === 'StatefulSet' && { serviceName: app }),
    ...(replicas !== undefined && { replicas }),
    selector: { matchLabels: labelsOf(one) },
    template: { metadata: { labels: labelsOf(one) }, spec: podOf(app, container) },
  }
  return { apiVersion: 'apps/v1', kind, name, rest: { spec } }
}

function report(): Omit<ObjectParts, 'component' | 'condition'> {
  const { name } = REPORT
  const pod = { ...podOf(name, REPORT), restartPolicy: 'Never' }
  const template = { metadata: { labels: { app: name } }, spec: pod }
  const spec = { schedule: '0 4 * * *', jobTemplate: { spec: { backoffLimit: 0, template } } }
  return { apiVersion: 'batch/v1', kind: 'CronJob', name, rest: { spec } }
}

const podOf = (serviceAccountName: string, container: Fields): Fields => ({
  serviceAccountName,
  securityContext: {
    runAsNonRoot: true,
    runAsUser: 1000,
    runAsGroup: 1000,
    seccompProfile: { type: 'RuntimeDefault' },
  },
  containers: [
    {
      ...container,
      image: text`${from('image.registry')}/weft-demo:${from('image.tag')}`,
      imagePullPolicy: value('image.pullPolicy'),
      resources: { requests: { cpu: '10m', memory: '64Mi' }, limits: { memory: '192Mi' } },
      securityContext: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      },
    },
  ],
})
