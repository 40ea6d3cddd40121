// Every kind that Weft reads, by apiVersion and kind.
import type { z } from 'zod'
import { type HttpRouteResource, httpRouteSchema } from './http-route.ts'
import { type MeshResource, meshSchema } from './mesh.ts'
import { type MeshPolicyResource, meshPolicySchema } from './mesh-policy.ts'
import { type ServiceResource, serviceSchema } from './service.ts'
import { type TrafficPolicyResource, trafficPolicySchema } from './traffic-policy.ts'
import { type WorkloadResource, workloadSchema } from './workload.ts'

export type Resource =
  | MeshResource
  | WorkloadResource
  | ServiceResource
  | HttpRouteResource
  | TrafficPolicyResource
  | MeshPolicyResource

export type Kind = Resource['kind']
export type ResourceOf<K extends Kind> = Extract<Resource, { kind: K }>

export const KINDS: Readonly<Record<Kind, { readonly apiVersion: string; readonly schema: z.ZodType<Resource> }>> = {
  Mesh: { apiVersion: 'weft.dev/v1alpha1', schema: meshSchema },
  Workload: { apiVersion: 'weft.dev/v1alpha1', schema: workloadSchema },
  Service: { apiVersion: 'v1', schema: serviceSchema },
  HTTPRoute: { apiVersion: 'gateway.networking.k8s.io/v1', schema: httpRouteSchema },
  TrafficPolicy: { apiVersion: 'weft.dev/v1alpha1', schema: trafficPolicySchema },
  MeshPolicy: { apiVersion: 'weft.dev/v1alpha1', schema: meshPolicySchema },
}

/** "HTTPRoute shop/catalog"; "Mesh demo", which lies in no namespace. */
export function describeResource(resource: Resource): string {
  return resource.kind === 'Mesh'
    ? `Mesh ${resource.metadata.name}`
    : `${resource.kind} ${resource.metadata.namespace}/${resource.metadata.name}`
}
