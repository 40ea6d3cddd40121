// Endpoints for the tests of this folder.
import type { Endpoint } from '#flow/upstream.ts'

export function makeEndpoint(number: number, weight = 1): Endpoint {
  return { address: { host: `10.0.0.${number}`, port: 8080 }, weight, identity: null, pod: `pod-${number}` }
}

export function makeEndpoints(weights: readonly number[]): Endpoint[] {
  return weights.map((weight, index) => makeEndpoint(index + 1, weight))
}
