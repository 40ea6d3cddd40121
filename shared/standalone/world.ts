// What exists on one machine, as `weft up` made it: in a cluster the API server says this. `weft up` writes world.json, control reads it.

export interface World {
  readonly mesh: {
    readonly name: string
    readonly trustDomain: string
    /** Ranges that a destination must lie in to be of this mesh. */
    readonly podCIDRs: readonly string[]
    readonly serviceCIDRs: readonly string[]
    /** Where control, certs and the span receiver listen: one address per family. */
    readonly gateways: readonly string[]
  }
  readonly services: readonly WorldService[]
  readonly pods: readonly WorldPod[]
}

export interface WorldService {
  readonly namespace: string
  readonly name: string
  /** Virtual addresses, one per family. */
  readonly addresses: readonly string[]
}

export interface WorldPod {
  /** Unique in the mesh: WORKLOAD-ORDINAL, as "catalog-v2-0". */
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
}
