// What only some installations have: a MeshPolicy for the whole mesh, metrics for the Prometheus operator, Jaeger.
import { type Maker, selector } from '../parts.ts'
import { isTrue, type Node, type TemplateFile, value } from '../template.ts'

export const meshPolicyFile = (make: Maker): TemplateFile => ({
  path: 'mesh-policy.yaml',
  documents: [
    make({
      apiVersion: 'weft.dev/v1alpha1',
      kind: 'MeshPolicy',
      name: 'mesh',
      component: 'mesh',
      condition: isTrue('mesh.policy'),
      rest: { spec: value('mesh.policy') },
    }),
  ],
})

export const podMonitorFile = (make: Maker): TemplateFile => ({
  path: 'pod-monitor.yaml',
  documents: [
    make({
      apiVersion: 'monitoring.coreos.com/v1',
      kind: 'PodMonitor',
      name: 'weft-sidecars',
      component: 'metrics',
      condition: isTrue('podMonitor.enabled'),
      rest: {
        spec: {
          namespaceSelector: { any: true },
          // Injected pods are known by their port; each pod is looked at.
          selector: {},
          podMetricsEndpoints: [endpoint('weft-metrics')],
        },
      },
    }),
    make({
      apiVersion: 'monitoring.coreos.com/v1',
      kind: 'PodMonitor',
      name: 'weft-control-plane',
      component: 'metrics',
      condition: isTrue('podMonitor.enabled'),
      rest: {
        spec: {
          selector: {
            matchLabels: { 'app.kubernetes.io/name': 'weft' },
            matchExpressions: [
              { key: 'app.kubernetes.io/component', operator: 'In', values: ['control', 'certs', 'injector'] },
            ],
          },
          podMetricsEndpoints: [endpoint('metrics')],
        },
      },
    }),
  ],
})

const endpoint = (port: string): Node => ({ port, path: '/metrics', interval: value('podMonitor.interval') })

const JAEGER_PORTS = { 'otlp-grpc': 4317, 'otlp-http': 4318, query: 16686 }

export const demoFile = (make: Maker): TemplateFile => ({
  path: 'demo.yaml',
  documents: [
    make({
      apiVersion: 'v1',
      kind: 'Service',
      name: 'weft-jaeger',
      component: 'jaeger',
      condition: isTrue('demo.jaeger.enabled'),
      rest: {
        spec: {
          type: 'ClusterIP',
          selector: selector('jaeger'),
          ports: Object.entries(JAEGER_PORTS).map(([name, port]) => ({
            name,
            port,
            targetPort: name,
            protocol: 'TCP',
          })),
        },
      },
    }),
    make({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      name: 'weft-jaeger',
      component: 'jaeger',
      condition: isTrue('demo.jaeger.enabled'),
      rest: {
        spec: {
          replicas: 1,
          selector: { matchLabels: selector('jaeger') },
          template: { metadata: { labels: { ...selector('jaeger'), 'weft.dev/inject': 'disabled' } }, spec: jaegerPod },
        },
      },
    }),
  ],
})

const jaegerPod: Node = {
  automountServiceAccountToken: false,
  securityContext: {
    runAsNonRoot: true,
    runAsUser: 65532,
    runAsGroup: 65532,
    seccompProfile: { type: 'RuntimeDefault' },
  },
  containers: [
    {
      name: 'jaeger',
      image: value('demo.jaeger.image'),
      imagePullPolicy: value('image.pullPolicy'),
      args: ['--memory.max-traces=10000'],
      env: [
        { name: 'SPAN_STORAGE_TYPE', value: 'memory' },
        { name: 'COLLECTOR_OTLP_ENABLED', value: 'true' },
      ],
      ports: Object.entries(JAEGER_PORTS).map(([name, containerPort]) => ({ name, containerPort, protocol: 'TCP' })),
      readinessProbe: { tcpSocket: { port: 'otlp-grpc' }, periodSeconds: 2 },
      resources: { requests: { cpu: '20m', memory: '128Mi' }, limits: { memory: '512Mi' } },
      securityContext: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      },
      volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
    },
  ],
  volumes: [{ name: 'tmp', emptyDir: { sizeLimit: '64Mi' } }],
}
