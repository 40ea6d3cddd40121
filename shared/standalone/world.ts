// What exists. On one machine `weft up` writes it as world.json, which control reads; in a cluster control makes it from what the
// API server says, and the fields that are optional here are there.

export interface World {
  readonly mesh: {
    readonly name: string
    readonly trustDomain: string
    /** Where Weft itself is, and MeshPolicies for the whole mesh. Absent: weft-system. */
    readonly systemNamespace?: string
    /** Ranges that a destination must lie in to be of this mesh. */
    readonly podCIDRs: readonly string[]
    readonly serviceCIDRs: readonly string[]
    /** Where control, certs and the span receiver listen: one address per family. */
    readonly gateways: readonly string[]
  }
  readonly services: readonly WorldService[]
  readonly pods: readonly WorldPod[]
  /** By service, "shop/catalog". Absent: endpoints follow from labels and readiness of pods. */
  readonly slices?: ReadonlyMap<string, readonly WorldSlice[]>
  /** By name. Absent: one machine. */
  readonly nodes?: ReadonlyMap<string, WorldNode>
  /** Absent: nothing is granted. */
  readonly grants?: readonly WorldGrant[]
}

/** Where a pod is; empty where that is not known. */
export interface Place {
  readonly node: string
  readonly zone: string
}

export interface WorldNode {
  /** Empty: none. */
  readonly zone: string
  readonly addresses: readonly string[]
}

/** As of a ReferenceGrant: who of another namespace may refer to what is in this one. */
export interface WorldGrant {
  readonly namespace: string
  readonly from: readonly { readonly group: string; readonly kind: string; readonly namespace: string }[]
  /** Without a name: to all of the kind. */
  readonly to: readonly { readonly group: string; readonly kind: string; readonly name?: string }[]
}

/** As of an EndpointSlice: endpoints that listen on the same ports. */
export interface WorldSlice {
  /** `name` is that of the service's port; empty for one without. */
  readonly ports: readonly { readonly name: string; readonly port: number }[]
  readonly endpoints: readonly WorldEndpoint[]
}

export interface WorldEndpoint {
  readonly addresses: readonly string[]
  /** "shop/catalog-0"; null: no pod, or none that is told. */
  readonly pod: string | null
  readonly ready: boolean
  /** Like ready, said of terminating endpoints too. */
  readonly serving: boolean
  readonly terminating: boolean
  readonly node?: string
  /** The nodes and zones whose callers should come here. */
  readonly forNodes?: readonly string[]
  readonly forZones?: readonly string[]
}

export interface WorldService {
  readonly namespace: string
  readonly name: string
  /** Virtual addresses, one per family. */
  readonly addresses: readonly string[]
  /** Addresses outside the cluster's own ranges that lead to it too. */
  readonly externalAddresses?: readonly string[]
  /** Such that nobody has given it: they lead to it for callers of its own namespace. */
  readonly claimedAddresses?: readonly string[]
  /** Ports of every node that lead to a port of the service: [30080, 80]. */
  readonly nodePorts?: readonly (readonly [number, number])[]
  /** internalTrafficPolicy: Local: callers get the endpoints on their own node only. */
  readonly isLocalOnly?: boolean
}

export interface WorldPod {
  /** Unique in the mesh: WORKLOAD-ORDINAL, as "catalog-v2-0"; in a cluster "shop/catalog-v2-0", as pods are unique in a namespace only. */
  readonly name: string
  readonly namespace: string
  readonly workload: string
  readonly serviceAccount: string
  readonly labels: Readonly<Record<string, string>>
  readonly addresses: readonly string[]
  readonly ready: boolean
  readonly terminating: boolean
  /** False: runs without a sidecar, dialled in clear. */
  readonly isMeshed: boolean
  readonly node?: string
  /** Of a cluster's pod, which has no Workload that could say them. */
  readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[]
  readonly annotations?: Readonly<Record<string, string>>
}
