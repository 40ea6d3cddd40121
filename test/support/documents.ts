// The YAML of small meshes for tests.

export interface PodOptions {
  readonly name: string
  readonly command?: readonly string[]
  readonly ports?: readonly (number | { readonly port: number; readonly appProtocol: string })[]
  readonly replicas?: number
  readonly serviceAccount?: string
  readonly env?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly readiness?: object
  readonly inject?: boolean
  readonly runAsUser?: number
}

const NODE_SLEEP = ['sleep', 'infinity']

/** A workload in namespace `test` and a service of its name, as JSON documents (which YAML reads). */
export function pod(options: PodOptions): string {
  const { name, ports = [], labels = {} } = options
  const declared = ports.map((port) => (typeof port === 'number' ? { port } : port))
  const metadata = { name, namespace: 'test', labels: { app: name, ...labels }, annotations: options.annotations ?? {} }
  const workload = {
    apiVersion: 'weft.dev/v1alpha1',
    kind: 'Workload',
    metadata,
    spec: {
      serviceAccount: options.serviceAccount ?? name,
      replicas: options.replicas ?? 1,
      command: options.command ?? NODE_SLEEP,
      ...(options.env && { env: options.env }),
      ports: declared.map(({ port }) => ({ containerPort: port })),
      ...(options.readiness && { readinessProbe: options.readiness }),
      ...(options.inject === false && { inject: false }),
      ...(options.runAsUser !== undefined && { securityContext: { runAsUser: options.runAsUser } }),
    },
  }
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'test' },
    spec: { selector: { app: name }, ports: declared.map((each) => ({ name: `p${each.port}`, ...each })) },
  }
  return documents(workload, ...(declared.length > 0 ? [service] : []))
}

/** The echo application: HTTP on 8080, TCP on 9000, a server that speaks first on 9001. */
export const echo = (options: Partial<PodOptions> = {}): string =>
  pod({
    name: 'echo',
    command: ['node', 'test/fixtures/apps/echo.ts'],
    ports: [8080, 9000, 9001],
    readiness: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
    ...options,
  })

export function meshPolicy(name: string, spec: object, namespace = 'weft-system'): string {
  return documents({ apiVersion: 'weft.dev/v1alpha1', kind: 'MeshPolicy', metadata: { name, namespace }, spec })
}

export function trafficPolicy(service: string, spec: object): string {
  return documents({
    apiVersion: 'weft.dev/v1alpha1',
    kind: 'TrafficPolicy',
    metadata: { name: service, namespace: 'test' },
    spec: { targetRefs: [{ group: '', kind: 'Service', name: service }], ...spec },
  })
}

export function documents(...objects: readonly object[]): string {
  return objects.map((object) => `---\n${JSON.stringify(object)}\n`).join('')
}
