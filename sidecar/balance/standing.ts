// What a pool counts for an endpoint, and what a balancer of load may read.

export interface Standing {
  /** Leases that are not done. */
  active: number
}
