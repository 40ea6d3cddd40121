// Services beside those of documents.ts' pods, and routes, for tests that ask many questions of few pods.
import { documents } from './documents.ts'
import type { TestMesh } from './mesh.ts'

/** A service of its own over the pods labelled `app`, on 8080. */
export function service(name: string, app: string, appProtocol?: string): string {
  return documents({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'test' },
    spec: { selector: { app }, ports: [{ name: 'p8080', port: 8080, ...(appProtocol && { appProtocol }) }] },
  })
}

export interface Rule {
  readonly matches?: readonly object[]
  /** Weights by service. Left out: the parent itself. */
  readonly to?: Readonly<Record<string, number>>
  readonly timeouts?: object
}

export function httpRoute(parent: string, rules: readonly Rule[]): string {
  return documents({
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name: parent, namespace: 'test' },
    spec: {
      parentRefs: [{ group: '', kind: 'Service', name: parent }],
      rules: rules.map(({ to = { [parent]: 1 }, ...rule }) => ({
        ...rule,
        backendRefs: Object.entries(to).map(([name, weight]) => ({ name, port: 8080, weight })),
      })),
    },
  })
}

/** Puts other documents in the place of those that the mesh was started with. */
export function reconfigure(mesh: TestMesh, text: string): void {
  mesh.configure(`apiVersion: weft.dev/v1alpha1\nkind: Mesh\nmetadata: { name: ${mesh.name} }\n${text}`)
}
