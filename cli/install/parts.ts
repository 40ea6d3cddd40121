// What the objects of the charts have in common: labels, pods that pass the Pod Security Standard "restricted", environment.
import {
  type Condition,
  from,
  isTrue,
  type Node,
  namespace,
  releaseName,
  type TemplateDocument,
  text,
  value,
  type When,
  when,
} from './template.ts'

export type Process = 'control' | 'certs' | 'injector'
type Fields = { readonly [name: string]: Node }

export function labels(chart: string, version: string, component: string): Fields {
  return {
    'helm.sh/chart': `${chart}-${version}`,
    'app.kubernetes.io/name': 'weft',
    'app.kubernetes.io/instance': text`${releaseName}`,
    'app.kubernetes.io/version': version,
    'app.kubernetes.io/component': component,
    'app.kubernetes.io/part-of': 'weft',
    'app.kubernetes.io/managed-by': text`${{ release: 'Service' }}`,
  }
}

/** Never changes with a version: a Deployment's selector is for good. */
export const selector = (component: string): Fields => ({
  'app.kubernetes.io/name': 'weft',
  'app.kubernetes.io/component': component,
})

/** An object in the namespace of Weft unless another is named; `scope: 'cluster'`: in none. */
export interface ObjectParts {
  readonly apiVersion: string
  readonly kind: string
  readonly name: Node
  readonly component: string
  readonly scope?: 'cluster'
  readonly namespace?: Node
  /** Beside the standard ones. */
  readonly labels?: Fields
  readonly condition?: Condition
  readonly annotations?: Node
  readonly rest: Fields
}

export function createMaker(chart: string, version: string) {
  return (parts: ObjectParts): TemplateDocument => ({
    ...(parts.condition !== undefined && { condition: parts.condition }),
    object: {
      apiVersion: parts.apiVersion,
      kind: parts.kind,
      metadata: {
        name: parts.name,
        ...(parts.scope === 'cluster' ? {} : { namespace: parts.namespace ?? namespace }),
        labels: { ...labels(chart, version, parts.component), ...parts.labels },
        ...(parts.annotations !== undefined && { annotations: parts.annotations }),
      },
      ...parts.rest,
    },
  })
}
export type Maker = ReturnType<typeof createMaker>

export interface PodParts {
  readonly process: Process
  readonly version: string
  readonly env: readonly Node[]
  readonly ports: Readonly<Record<string, number>>
  readonly probes: Probes
  readonly mounts: readonly Node[]
  readonly volumes: readonly Node[]
}

interface Probes {
  readonly ready: Fields
  /** Holds while the process lives, ready or not. */
  readonly alive: Fields
}

export const tcpProbes = (port: string): Probes => ({ ready: { tcpSocket: { port } }, alive: { tcpSocket: { port } } })
export const httpProbes = (port: string, alive: string): Probes => ({
  ready: { httpGet: { path: '/ready', port } },
  alive: { httpGet: { path: alive, port } },
})

/** The service account's token is mounted: all three processes ask the API server. */
export function deployment(make: Maker, pod: PodParts): TemplateDocument {
  const { process } = pod
  return make({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    name: `weft-${process}`,
    component: process,
    rest: {
      spec: {
        replicas: value(`${process}.replicas`),
        revisionHistoryLimit: 3,
        // A new one first: while none is there, no sidecar gets a certificate or an answer.
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
        selector: { matchLabels: selector(process) },
        template: { metadata: podMetadata(pod), spec: podSpec(pod) },
      },
    },
  })
}

function podMetadata({ process, version, ports }: PodParts): Node {
  return {
    labels: {
      ...selector(process),
      'app.kubernetes.io/instance': text`${releaseName}`,
      'app.kubernetes.io/version': version,
      'app.kubernetes.io/part-of': 'weft',
      'weft.dev/inject': 'disabled',
    },
    annotations: {
      'kubectl.kubernetes.io/default-container': process,
      'prometheus.io/scrape': 'true',
      'prometheus.io/port': String(ports['metrics']),
    },
  }
}

function podSpec(pod: PodParts): Node {
  const { process } = pod
  return {
    serviceAccountName: `weft-${process}`,
    terminationGracePeriodSeconds: 30,
    imagePullSecrets: when(isTrue('image.pullSecrets'), value('image.pullSecrets')),
    priorityClassName: when(isTrue('scheduling.priorityClassName'), value('scheduling.priorityClassName')),
    nodeSelector: when(isTrue('scheduling.nodeSelector'), value('scheduling.nodeSelector')),
    tolerations: when(isTrue('scheduling.tolerations'), value('scheduling.tolerations')),
    affinity: when(isTrue('highAvailability'), { podAntiAffinity: apart(process) }),
    topologySpreadConstraints: when(isTrue('highAvailability'), [
      {
        maxSkew: 1,
        topologyKey: 'topology.kubernetes.io/zone',
        whenUnsatisfiable: 'ScheduleAnyway',
        labelSelector: { matchLabels: selector(process) },
      },
    ]),
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 65532,
      runAsGroup: 65532,
      fsGroup: 65532,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    containers: [container(pod)],
    volumes: [{ name: 'run', emptyDir: { medium: 'Memory', sizeLimit: '16Mi' } }, ...pod.volumes],
  }
}

const apart = (process: Process): Node => ({
  // Preferred, not required: with as many replicas as nodes an update could not begin.
  preferredDuringSchedulingIgnoredDuringExecution: [
    {
      weight: 100,
      podAffinityTerm: { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: selector(process) } },
    },
  ],
})

function container({ process, env, ports, probes, mounts }: PodParts): Node {
  return {
    name: process,
    image: text`${from('image.registry')}/weft-control:${from('image.tag')}`,
    imagePullPolicy: value('image.pullPolicy'),
    command: ['node', `/weft/${process}.js`],
    env: [
      ...fromPod('WEFT_POD_NAME', 'metadata.name'),
      ...fromPod('WEFT_POD_NAMESPACE', 'metadata.namespace'),
      ...fromPod('WEFT_POD_ADDRESSES', 'status.podIPs'),
      { name: 'WEFT_LOG_LEVEL', value: value('logLevel') },
      ...env,
    ],
    ports: Object.entries(ports).map(([name, containerPort]) => ({ name, containerPort, protocol: 'TCP' })),
    // Generous: a process on a busy node takes its time, and the liveness probe waits for this one.
    startupProbe: { ...probes.alive, periodSeconds: 2, failureThreshold: 60, timeoutSeconds: 5 },
    readinessProbe: { ...probes.ready, periodSeconds: 5, failureThreshold: 3, timeoutSeconds: 5 },
    livenessProbe: { ...probes.alive, periodSeconds: 10, failureThreshold: 6, timeoutSeconds: 5 },
    resources: value(`${process}.resources`),
    terminationMessagePolicy: 'FallbackToLogsOnError',
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [{ name: 'run', mountPath: '/run/weft' }, ...mounts],
  }
}

const fromPod = (name: string, fieldPath: string): readonly Node[] => [{ name, valueFrom: { fieldRef: { fieldPath } } }]
export const setting = (name: string, content: Node): Node => ({ name, value: content })

export function service(
  make: Maker,
  process: Process,
  ports: Readonly<Record<string, readonly [number, string]>>,
): TemplateDocument {
  return make({
    apiVersion: 'v1',
    kind: 'Service',
    name: `weft-${process}`,
    component: process,
    rest: {
      spec: {
        type: 'ClusterIP',
        ipFamilyPolicy: 'PreferDualStack',
        selector: selector(process),
        ports: Object.entries(ports).map(([name, [port, appProtocol]]) => ({
          name,
          port,
          targetPort: name,
          protocol: 'TCP',
          appProtocol,
        })),
      },
    },
  })
}

export const serviceAccount = (make: Maker, process: Process): TemplateDocument =>
  make({
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    name: `weft-${process}`,
    component: process,
    rest: {},
  })

export const disruptionBudget = (make: Maker, process: Process): TemplateDocument =>
  make({
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    name: `weft-${process}`,
    component: process,
    condition: isTrue('highAvailability'),
    rest: { spec: { maxUnavailable: 1, selector: { matchLabels: selector(process) } } },
  })

/** `open`: ports for every pod of the cluster, and for nodes, whose probes come from outside all pods. */
export const networkPolicy = (make: Maker, process: Process, ports: readonly number[]): TemplateDocument =>
  make({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    name: `weft-${process}`,
    component: process,
    condition: isTrue('networkPolicy.enabled'),
    rest: {
      spec: {
        podSelector: { matchLabels: selector(process) },
        policyTypes: ['Ingress'],
        ingress: [{ ports: ports.map((port) => ({ port, protocol: 'TCP' })) }],
      },
    },
  })

export interface Rule {
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly resourceNames?: readonly Node[]
  readonly verbs: readonly string[]
}

/** The rules of a process: everywhere, and in the namespace of Weft. */
export function access(
  make: Maker,
  process: Process,
  everywhere: readonly (Rule | When)[],
  inOwnNamespace: readonly (Rule | When)[],
): readonly TemplateDocument[] {
  const name = `weft-${process}`
  const subjects: Node = [{ kind: 'ServiceAccount', name, namespace }]
  const role = (kind: string, rules: readonly (Rule | When)[], scope: 'cluster' | undefined) => {
    if (rules.length === 0) return []
    const common = { apiVersion: 'rbac.authorization.k8s.io/v1', name, component: process, ...(scope && { scope }) }
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind, name }
    return [
      make({ ...common, kind, rest: { rules: rules as unknown as Node } }),
      make({ ...common, kind: `${kind}Binding`, rest: { roleRef, subjects } }),
    ]
  }
  return [...role('ClusterRole', everywhere, 'cluster'), ...role('Role', inOwnNamespace, undefined)]
}
