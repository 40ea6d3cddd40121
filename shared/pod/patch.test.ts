import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HEAP_FLAGS } from './heap.ts'
import type { Container, Pod } from './kubernetes-pod.ts'
import { applyPatch } from './patch.fixture.ts'
import { injectPod, podPatch } from './patch.ts'
import { settings, shopPod } from './pod.fixture.ts'

const context = { settings }

function inject(pod: Pod) {
  const { patch, warnings } = podPatch(pod, context)
  const result = applyPatch(pod, patch) as Pod
  const named = (name: string): Container => {
    const found = [...(result.spec.initContainers ?? []), ...result.spec.containers].find((one) => one.name === name)
    if (found === undefined) throw new Error(`no container ${name}`)
    return found
  }
  const variable = (name: string) => named('weft-proxy').env?.find((one) => one.name === name)?.value
  return { patch, warnings, pod: result, named, variable }
}
const annotated = (annotations: Record<string, string>, more: object = {}) =>
  inject(shopPod({ metadata: { annotations }, ...more }))

test('the sidecar comes before the init containers of the application, and ends after it', () => {
  const { pod, named } = inject(shopPod())

  expect(pod.spec.initContainers?.map(({ name }) => name)).toEqual(['weft-init', 'weft-proxy', 'migrate'])
  expect(named('weft-proxy').restartPolicy).toBe('Always')
  expect(named('weft-init').restartPolicy).toBeUndefined()
})

test('the init container may change the network and nothing else; the sidecar may do nothing', () => {
  const { named } = inject(shopPod())

  expect(named('weft-init').securityContext).toEqual({
    runAsUser: 0,
    runAsGroup: 0,
    runAsNonRoot: false,
    allowPrivilegeEscalation: false,
    privileged: false,
    readOnlyRootFilesystem: true,
    seccompProfile: { type: 'RuntimeDefault' },
    capabilities: { drop: ['ALL'], add: ['NET_ADMIN', 'NET_RAW'] },
  })
  expect(named('weft-proxy').securityContext).toEqual({
    runAsUser: 1337,
    runAsGroup: 1337,
    runAsNonRoot: true,
    allowPrivilegeEscalation: false,
    privileged: false,
    readOnlyRootFilesystem: true,
    seccompProfile: { type: 'RuntimeDefault' },
    capabilities: { drop: ['ALL'] },
  })
})

test('the sidecar is told who it is by the downward API and has a token of its own audience, the bundle and memory', () => {
  const { pod, named, variable } = inject(shopPod())
  const fields = named('weft-proxy').env?.flatMap(({ name, valueFrom }) =>
    valueFrom === undefined ? [] : [[name, (valueFrom as { fieldRef: { fieldPath: string } }).fieldRef.fieldPath]],
  )

  expect(fields).toEqual([
    ['WEFT_POD_NAME', 'metadata.name'],
    ['WEFT_POD_NAMESPACE', 'metadata.namespace'],
    ['WEFT_POD_UID', 'metadata.uid'],
    ['WEFT_NODE_NAME', 'spec.nodeName'],
    ['WEFT_SERVICE_ACCOUNT', 'spec.serviceAccountName'],
    ['WEFT_POD_ADDRESSES', 'status.podIPs'],
  ])
  expect(variable('OTEL_SERVICE_NAME')).toBe('catalog')
  expect(variable('WEFT_MESH_RANGES')).toBe('10.244.0.0/16,10.96.0.0/12')
  expect(pod.spec.volumes).toMatchObject([
    { name: 'data' },
    { name: 'weft-token', projected: { sources: [{ serviceAccountToken: { audience: 'weft.dev/certs' } }] } },
    { name: 'weft-bundle', configMap: { name: 'weft-trust-bundle' } },
    { name: 'weft-state', emptyDir: { medium: 'Memory' } },
  ])
})

test("what is the application's stays: environment, mounts, aliases, its own init containers", () => {
  const before = shopPod()
  const { pod, named } = inject(before)

  expect(named('catalog').env).toEqual([{ name: 'OTEL_SERVICE_NAME', value: 'mine' }])
  expect(named('catalog').volumeMounts).toBeUndefined()
  expect(named('migrate')).toEqual(before.spec.initContainers?.[0])
  expect(pod.spec).toMatchObject({ hostAliases: before.spec['hostAliases'], shareProcessNamespace: true })
})

test('a second run over the result changes nothing', () => {
  const once = inject(
    shopPod({ metadata: { annotations: { 'prometheus.io/scrape': 'true', 'prometheus.io/port': '9090' } } }),
  )

  expect(inject(once.pod).patch).toEqual([])
})

test('on reinvocation the containers of another webhook are treated like the rest and its additions to ours stay', () => {
  const { pod } = inject(shopPod())
  const [init, proxy, migrate] = pod.spec.initContainers ?? []
  const agent = { name: 'agent', livenessProbe: { tcpSocket: { port: 9000 } } }
  const mount = { name: 'kube-api-access', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' }
  const between = {
    ...pod,
    spec: {
      ...pod.spec,
      initContainers: [
        { name: 'first', image: 'x' },
        init,
        {
          ...proxy,
          image: 'evil',
          env: [...(proxy?.env ?? []), { name: 'REGION', value: 'eu' }],
          volumeMounts: [mount],
        },
        migrate,
      ],
      containers: [...pod.spec.containers, agent],
    },
  } as Pod
  const again = inject(between)

  expect(again.pod.spec.initContainers?.map(({ name }) => name)).toEqual([
    'weft-init',
    'weft-proxy',
    'first',
    'migrate',
  ])
  expect(again.named('weft-proxy')['image']).toBe(settings.image)
  expect(again.variable('REGION')).toBe('eu')
  expect(again.named('weft-proxy').volumeMounts).toContainEqual(mount)
  expect(again.named('agent').livenessProbe).toEqual({
    httpGet: { path: '/probe/agent.liveness', port: 15021, scheme: 'HTTP' },
  })
  expect(JSON.parse(again.variable('WEFT_PROBES') ?? '')).toEqual({
    'catalog.readiness': {
      httpGet: { path: '/ready', port: 8080, scheme: 'HTTP' },
      timeoutSeconds: 1,
      periodSeconds: 2,
    },
    'agent.liveness': { tcpSocket: { port: 9000 }, timeoutSeconds: 1, periodSeconds: 10 },
  })
  expect(inject(again.pod).patch).toEqual([])
})

test('a path with what the kubelet would replace arrives in the sidecar as it was, also after a second run', () => {
  const readinessProbe = { httpGet: { path: '/$(WEFT_POD_NAME)/$$x', port: 8080 } }
  const once = inject(shopPod({ container: { readinessProbe } }))

  expect(once.variable('WEFT_PROBES')).toContain('/$$(WEFT_POD_NAME)/$$$$x')
  expect(inject(once.pod).patch).toEqual([])
})

test('a container without a preStop goes on serving for a while, one with its own keeps it', () => {
  const own = { preStop: { exec: { command: ['bye'] } } }
  const seconds = (pod: Pod) => inject(pod).named('catalog').lifecycle

  expect(seconds(shopPod())).toEqual({ preStop: { sleep: { seconds: 5 } } })
  expect(seconds(shopPod({ container: { lifecycle: own } }))).toEqual(own)
  expect(seconds(shopPod({ spec: { terminationGracePeriodSeconds: 6 } }))).toEqual({
    preStop: { sleep: { seconds: 2 } },
  })
  expect(seconds(shopPod({ spec: { terminationGracePeriodSeconds: 0 } }))).toBeUndefined()
  expect(seconds(shopPod({ metadata: { annotations: { 'config.weft.dev/pre-stop-sleep': '0s' } } }))).toBeUndefined()
})

test('a drain ends before the kubelet ends the pod, whatever was asked for', () => {
  const asked = annotated({ 'config.weft.dev/shutdown-grace-period': '60s' })

  expect(inject(shopPod()).variable('WEFT_DRAIN_TIMEOUT')).toBe('25s')
  expect(annotated({ 'config.weft.dev/shutdown-grace-period': '10s' }).variable('WEFT_DRAIN_TIMEOUT')).toBe('10s')
  expect(asked.variable('WEFT_DRAIN_TIMEOUT')).toBe('25s')
  expect(asked.warnings).toEqual([
    'shutdown-grace-period 60s is more than terminationGracePeriodSeconds 30 allows: 25s',
  ])
})

describe('resources are what an API server accepts', () => {
  const of = (annotations: Record<string, string>) => {
    const short = Object.entries(annotations).map(([name, value]) => [`config.weft.dev/proxy-${name}`, value])
    const { named, warnings } = annotated(Object.fromEntries(short) as Record<string, string>)
    return { ...named('weft-proxy').resources, command: named('weft-proxy')['command'], warnings }
  }

  test('the defaults, with a heap below the limit', () => {
    expect(of({})).toEqual({
      requests: { cpu: '50m', memory: '96Mi' },
      limits: { memory: '256Mi' },
      command: ['node', ...HEAP_FLAGS, '--max-old-space-size=192', '/weft/sidecar.js'],
      warnings: [],
    })
  })

  test.each([
    [{ 'memory-request': '1Gi' }, { memory: '1Gi' }, { memory: '1Gi' }, 0],
    [{ 'memory-limit': '64Mi' }, { memory: '64Mi' }, { memory: '64Mi' }, 0],
    [{ 'cpu-limit': '20m' }, { cpu: '20m' }, { cpu: '20m' }, 0],
    [{ 'cpu-request': '2', 'cpu-limit': '1' }, { cpu: '1' }, { cpu: '1' }, 1],
  ])('%o: no request above its limit', (annotations, requests, limits, warnings) => {
    const result = of(annotations)

    expect(result).toMatchObject({ requests, limits })
    expect(result.warnings).toHaveLength(warnings)
  })

  test('the heap follows the limit that holds, also where a request has raised it', () => {
    expect(of({ 'memory-request': '1Gi' }).command).toContain('--max-old-space-size=768')
  })
})

describe('Prometheus', () => {
  const metrics = (annotations: Record<string, string>) => {
    const { pod, variable, warnings } = annotated(annotations)
    const { 'weft.dev/status': _, ...rest } = pod.metadata?.annotations ?? {}
    return { rest, application: variable('WEFT_APPLICATION_METRICS') ?? 'none', warnings }
  }
  const ours = { 'prometheus.io/scrape': 'true', 'prometheus.io/port': '15020', 'prometheus.io/path': '/metrics' }

  test('finds the sidecar, and the metrics of the application beside it', () => {
    expect(metrics({})).toEqual({ rest: ours, application: 'none', warnings: [] })
    expect(
      metrics({ 'prometheus.io/scrape': 'true', 'prometheus.io/port': '9090', 'prometheus.io/path': '/m' }),
    ).toEqual({
      rest: ours,
      application: '9090/m',
      warnings: [],
    })
    expect(metrics({ 'prometheus.io/scrape': 'true' }).application).toBe('8080/metrics')
  })

  test('is left as it is where nothing shall be scraped, or what the sidecar cannot ask', () => {
    expect(metrics({ 'prometheus.io/scrape': 'false' }).rest).toEqual({ 'prometheus.io/scrape': 'false' })
    const https = { 'prometheus.io/scrape': 'true', 'prometheus.io/scheme': 'https', 'prometheus.io/port': '9443' }
    expect(metrics(https)).toMatchObject({
      rest: https,
      application: 'none',
      warnings: [expect.stringContaining('http')],
    })
  })
})

test('mistakes in annotations and taken ports are told, and the pod is injected all the same', () => {
  const { warnings, named } = annotated(
    { 'config.weft.dev/opaque-port': '1' },
    { container: { ports: [{ containerPort: 15001 }] } },
  )

  expect(warnings).toContain('config.weft.dev/opaque-port: unknown annotation; want "config.weft.dev/opaque-ports"')
  expect(warnings).toContain("container catalog has port 15001, which is the sidecar's: one of both will not start")
  expect(named('weft-proxy')['image']).toBe(settings.image)
})

test('the status names the version and changes with the configuration only', () => {
  const status = (pod: Pod) => JSON.parse(inject(pod).pod.metadata?.annotations?.['weft.dev/status'] ?? '{}')
  const plain = status(shopPod())

  expect(plain).toEqual({ version: '0.1.0', injected: true, config: expect.stringMatching(/^[0-9a-f]{16}$/) })
  expect(status(shopPod({ spec: { terminationGracePeriodSeconds: 5 } }))).toEqual(plain)
  const debug = { annotations: { 'config.weft.dev/proxy-log-level': 'debug' } }
  expect(status(shopPod({ metadata: debug })).config).not.toBe(plain.config)
})

test('a pod without anything but a container is injected too', () => {
  const bare: Pod = { spec: { containers: [{ name: 'a' }] } }

  expect(inject(bare).pod.spec.initContainers).toHaveLength(2)
  expect(inject(inject(bare).pod).patch).toEqual([])
})

test('whatever its annotations, the patch of a pod touches what it may touch and nothing else', () => {
  const names = [
    'skip-inbound-ports',
    'skip-subnets',
    'proxy-cpu-limit',
    'proxy-memory-request',
    'proxy-log-level',
    'shutdown-grace-period',
    'pre-stop-sleep',
    'x"],"y',
  ]
  const key = fc.oneof(
    fc.constantFrom(...names).map((name) => `config.weft.dev/${name}`),
    fc.constantFrom('prometheus.io/port', 'prometheus.io/path', 'prometheus.io/scrape', 'weft.dev/status', '__proto__'),
    fc.string(),
  )
  const value = fc.oneof(fc.constantFrom('1', '80-90', '10.0.0.0/8', '100m', '1Gi', 'debug', '9s', 'true'), fc.string())
  const allowed =
    /^\/(metadata\/annotations(\/.*)?|spec\/initContainers\/[01]|spec\/volumes\/[123]|spec\/containers\/0\/(readinessProbe\/httpGet\/(path|port)|lifecycle))$/s
  const environment = (pod: Pod) => injectPod(pod, context).pod.spec.initContainers?.[1]?.env?.map(({ name }) => name)

  fc.assert(
    fc.property(fc.dictionary(key, value), (annotations) => {
      const before = shopPod({ metadata: { annotations } })
      const { patch, pod } = inject(before)
      for (const { path } of patch) expect(path).toMatch(allowed)
      for (const [name, text] of Object.entries(annotations)) {
        if (!name.startsWith('prometheus.io/') && name !== 'weft.dev/status')
          expect(Object.entries(pod.metadata?.annotations ?? {})).toContainEqual([name, text])
      }
      expect(environment(before)).toEqual(environment(shopPod()))
      expect(inject(pod).patch).toEqual([])
    }),
    { numRuns: 300 },
  )
})
