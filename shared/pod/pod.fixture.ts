// Pods for tests, as an API server hands them to a webhook: with its defaults filled in.
import type { Pod } from './kubernetes-pod.ts'
import type { InjectionSettings } from './template.ts'

export const settings: InjectionSettings = {
  version: '0.1.0',
  image: 'weft.local/weft-sidecar:test',
  imagePullPolicy: 'IfNotPresent',
  trustDomain: 'weft.local',
  systemNamespace: 'weft-system',
  controlAddress: 'weft-control.weft-system.svc:15010',
  certsAddress: 'weft-certs.weft-system.svc:15012',
  meshRanges: ['10.244.0.0/16', '10.96.0.0/12'],
  tokenAudience: 'weft.dev/certs',
  bundleConfigMap: 'weft-trust-bundle',
}

/** Of a Deployment, with one thing of each kind that injection must leave alone. */
export function shopPod(more: { metadata?: object; spec?: object; container?: object } = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      generateName: 'catalog-6d5f9c7b8-',
      namespace: 'shop',
      labels: { app: 'catalog', 'pod-template-hash': '6d5f9c7b8' },
      ownerReferences: [
        { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'catalog-6d5f9c7b8', uid: 'u', controller: true },
      ],
      ...more.metadata,
    },
    spec: {
      serviceAccountName: 'catalog',
      terminationGracePeriodSeconds: 30,
      hostAliases: [{ ip: '10.0.0.9', hostnames: ['old.example'] }],
      shareProcessNamespace: true,
      volumes: [{ name: 'data', emptyDir: {} }],
      initContainers: [{ name: 'migrate', image: 'shop:1', command: ['migrate'] }],
      containers: [
        {
          name: 'catalog',
          image: 'shop:1',
          env: [{ name: 'OTEL_SERVICE_NAME', value: 'mine' }],
          ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
          readinessProbe: {
            httpGet: { path: '/ready', port: 'http', scheme: 'HTTP' },
            periodSeconds: 2,
            timeoutSeconds: 1,
          },
          ...more.container,
        },
      ],
      ...more.spec,
    },
  }
}
