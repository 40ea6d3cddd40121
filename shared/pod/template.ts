// What injection adds to a pod: two containers and three volumes, as objects. Fields that an API server would fill in are
// written out, so that a second run over the stored pod finds nothing to change.
import { TOKEN_AUDIENCE } from '#shared/identity/kubernetes.ts'
import type { PortSpan } from './annotation-values.ts'
import type { SidecarOptions } from './annotations.ts'
import { HEAP_FLAGS } from './heap.ts'
import type { Container, Named, Resources } from './kubernetes-pod.ts'
import { INIT_CONTAINER, PORTS, PROXY_CONTAINER, SIDECAR_ID, VOLUMES } from './names.ts'
import type { TakenProbes } from './probes.ts'

/** The same for every pod of the mesh; from the injector's environment or the flags of `weft inject`. */
export interface InjectionSettings {
  /** Of Weft. */
  readonly version: string
  /** Holds node, the bundles in /weft and iptables. */
  readonly image: string
  readonly imagePullPolicy: 'Always' | 'IfNotPresent' | 'Never'
  readonly trustDomain: string
  /** Where Weft itself is: part of the identities of certs and control. */
  readonly systemNamespace: string
  readonly controlAddress: string
  readonly certsAddress: string
  /** CIDRs of pods and services. */
  readonly meshRanges: readonly string[]
  /** Whom the projected token is for: no API server accepts it. */
  readonly tokenAudience: string
  /** In each namespace of the mesh; its key is bundle.pem. */
  readonly bundleConfigMap: string
}

/** What a chart installs by default. */
export const USUAL_SETTINGS: InjectionSettings = {
  version: '0.1.0',
  image: 'weft-sidecar:0.1.0',
  imagePullPolicy: 'IfNotPresent',
  trustDomain: 'weft.local',
  systemNamespace: 'weft-system',
  controlAddress: 'weft-control.weft-system.svc:15010',
  certsAddress: 'weft-certs.weft-system.svc:15012',
  meshRanges: [],
  tokenAudience: TOKEN_AUDIENCE,
  bundleConfigMap: 'weft-trust-bundle',
}

export interface SidecarFacts {
  readonly options: SidecarOptions
  readonly resources: Resources
  /** Undefined: no limit. */
  readonly memoryLimitBytes: number | undefined
  readonly probes: TakenProbes
  readonly drainSeconds: number
  /** Name in traces. */
  readonly serviceName: string
  /** "9090/metrics" of the application, to be shown beside the sidecar's own; empty: none. */
  readonly applicationMetrics: string
}

const RUN = '/run/weft'
const PATHS = { token: `${RUN}/token`, bundle: `${RUN}/bundle`, state: `${RUN}/state` }
/** Three quarters of the memory for the heap; the rest is for buffers, code and stacks. */
const HEAP_SHARE = 0.75
const MEBIBYTE = 2 ** 20

/** Runs the redirection program in the pod's network namespace, then ends. */
export function initContainer(settings: InjectionSettings, options: SidecarOptions): Container {
  return {
    ...common(INIT_CONTAINER, settings),
    command: ['node', '/weft/init.js'],
    env: [
      fixed('WEFT_SKIP_INBOUND_PORTS', formatSpans(options['skip-inbound-ports'])),
      fixed('WEFT_SKIP_OUTBOUND_PORTS', formatSpans(options['skip-outbound-ports'])),
      fixed('WEFT_SKIP_SUBNETS', (options['skip-subnets'] ?? []).join(',')),
      // Its usual place is on the root file system, which is read-only.
      fixed('XTABLES_LOCKFILE', '/dev/shm/weft-xtables.lock'),
    ],
    resources: { requests: { cpu: '10m', memory: '64Mi' }, limits: { cpu: '500m', memory: '128Mi' } },
    securityContext: {
      ...confined,
      runAsUser: 0,
      runAsGroup: 0,
      runAsNonRoot: false,
      capabilities: { drop: ['ALL'], add: ['NET_ADMIN', 'NET_RAW'] },
    },
  }
}

/** A native sidecar: started before the other init containers, ended after the application. */
export function proxyContainer(settings: InjectionSettings, facts: SidecarFacts): Container {
  const { memoryLimitBytes: memoryLimit } = facts
  const heap = memoryLimit === undefined ? [] : [`--max-old-space-size=${heapSize(memoryLimit)}`]
  return {
    ...common(PROXY_CONTAINER, settings),
    restartPolicy: 'Always',
    command: ['node', ...HEAP_FLAGS, ...heap, '/weft/sidecar.js'],
    env: environment(settings, facts),
    ports: [
      { name: 'weft-inbound', containerPort: PORTS.inbound, protocol: 'TCP' },
      { name: 'weft-metrics', containerPort: PORTS.metrics, protocol: 'TCP' },
      { name: 'weft-health', containerPort: PORTS.health, protocol: 'TCP' },
    ],
    resources: facts.resources,
    // The application starts when this has succeeded. Never depends on control being there.
    startupProbe: probe('/ready', { periodSeconds: 1, failureThreshold: 120, timeoutSeconds: 1 }),
    readinessProbe: probe('/ready', { periodSeconds: 5, failureThreshold: 3, timeoutSeconds: 2 }),
    // Not /ready: a sidecar that drains lives.
    livenessProbe: probe('/live', { periodSeconds: 10, failureThreshold: 3, timeoutSeconds: 5 }),
    // The kubelet calls this at once and sends SIGTERM only when the application has ended.
    lifecycle: { preStop: { exec: { command: ['node', '/weft/drain.js'] } } },
    securityContext: {
      ...confined,
      runAsUser: SIDECAR_ID,
      runAsGroup: SIDECAR_ID,
      runAsNonRoot: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [
      { name: VOLUMES.token, mountPath: PATHS.token, readOnly: true },
      { name: VOLUMES.bundle, mountPath: PATHS.bundle, readOnly: true },
      { name: VOLUMES.state, mountPath: PATHS.state },
    ],
  }
}

export function sidecarVolumes(settings: InjectionSettings): readonly Named[] {
  const token = { audience: settings.tokenAudience, expirationSeconds: 3600, path: 'token' }
  return [
    { name: VOLUMES.token, projected: { defaultMode: 0o644, sources: [{ serviceAccountToken: token }] } },
    { name: VOLUMES.bundle, configMap: { name: settings.bundleConfigMap, defaultMode: 0o644 } },
    { name: VOLUMES.state, emptyDir: { medium: 'Memory', sizeLimit: '16Mi' } },
  ]
}

const confined = {
  allowPrivilegeEscalation: false,
  privileged: false,
  readOnlyRootFilesystem: true,
  seccompProfile: { type: 'RuntimeDefault' },
}

function common(name: string, settings: InjectionSettings) {
  return {
    name,
    image: settings.image,
    imagePullPolicy: settings.imagePullPolicy,
    terminationMessagePath: '/dev/termination-log',
    // The last lines of its log then stand in `kubectl describe pod`.
    terminationMessagePolicy: 'FallbackToLogsOnError',
  }
}

function environment(settings: InjectionSettings, facts: SidecarFacts) {
  const fromPod = (name: string, fieldPath: string) => ({
    name,
    valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath } },
  })
  return [
    fromPod('WEFT_POD_NAME', 'metadata.name'),
    fromPod('WEFT_POD_NAMESPACE', 'metadata.namespace'),
    fromPod('WEFT_POD_UID', 'metadata.uid'),
    fromPod('WEFT_NODE_NAME', 'spec.nodeName'),
    fromPod('WEFT_SERVICE_ACCOUNT', 'spec.serviceAccountName'),
    fromPod('WEFT_POD_ADDRESSES', 'status.podIPs'),
    fixed('WEFT_TRUST_DOMAIN', settings.trustDomain),
    fixed('WEFT_SYSTEM_NAMESPACE', settings.systemNamespace),
    fixed('WEFT_MESH_RANGES', settings.meshRanges.join(',')),
    fixed('WEFT_CONTROL_ADDRESS', settings.controlAddress),
    fixed('WEFT_CERTS_ADDRESS', settings.certsAddress),
    fixed('WEFT_BUNDLE_FILE', `${PATHS.bundle}/bundle.pem`),
    fixed('WEFT_TOKEN_FILE', `${PATHS.token}/token`),
    fixed('WEFT_STATE_DIR', PATHS.state),
    fixed('WEFT_LOG_LEVEL', facts.options['proxy-log-level'] ?? 'info'),
    fixed('WEFT_DRAIN_TIMEOUT', `${facts.drainSeconds}s`),
    fixed('WEFT_PROBES', JSON.stringify(facts.probes)),
    fixed('WEFT_APPLICATION_METRICS', facts.applicationMetrics),
    fixed('OTEL_SERVICE_NAME', facts.serviceName),
    // The kubelet puts the values in.
    { name: 'OTEL_RESOURCE_ATTRIBUTES', value: 'k8s.pod.uid=$(WEFT_POD_UID),k8s.node.name=$(WEFT_NODE_NAME)' },
  ]
}

/** An API server leaves an empty value out. */
function fixed(name: string, value: string): { name: string; value?: string } {
  return value === '' ? { name } : { name, value: escapeReferences(value) }
}

/** The kubelet replaces "$(NAME)" and makes "$$" one: what we were given is to arrive as it is. */
const escapeReferences = (value: string) => value.replaceAll('$', '$$$$')
export const unescapeReferences = (value: string) => value.replaceAll('$$', () => '$')

function probe(path: string, times: { periodSeconds: number; failureThreshold: number; timeoutSeconds: number }) {
  return { httpGet: { path, port: PORTS.health, scheme: 'HTTP' }, successThreshold: 1, ...times }
}

function heapSize(memoryLimit: number): number {
  return Math.floor((memoryLimit * HEAP_SHARE) / MEBIBYTE)
}

function formatSpans(spans: readonly PortSpan[] = []): string {
  return spans.map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`)).join(',')
}
