// world.json: what exists in this mesh, for control. Written whole on every change, so control never sees a part.
import { createHash, randomBytes } from 'node:crypto'
import { formatSpiffeId } from '#shared/identity/spiffe-id.ts'
import type { World } from '#shared/standalone/world.ts'
import type { MeshPlan } from './plan.ts'

export interface PodStanding {
  readonly ready: boolean
  readonly terminating: boolean
}

export function worldOf(plan: MeshPlan, standingOf: (pod: string) => PodStanding): World {
  return {
    mesh: {
      name: plan.name,
      trustDomain: plan.trustDomain,
      podCIDRs: plan.ranges.pods.map((range) => range.text),
      serviceCIDRs: plan.ranges.services.map((range) => range.text),
      gateways: plan.gateways.map(({ address }) => address),
    },
    services: plan.services.map(({ name, namespace, addresses }) => ({ namespace, name, addresses })),
    pods: plan.pods.map((pod) => ({
      name: pod.name,
      namespace: pod.namespace,
      workload: pod.workload,
      serviceAccount: pod.serviceAccount,
      labels: pod.labels,
      addresses: pod.addresses,
      ...standingOf(pod.name),
      isMeshed: pod.isMeshed,
    })),
  }
}

export interface Tokens {
  /** By name of the pod; each goes to a file that only its sidecar reads. */
  readonly ofPods: ReadonlyMap<string, string>
  readonly ofControl: string
  /** tokens.json, for certs: hashes, each bound to one identity and the addresses it may come from. */
  readonly registry: {
    readonly tokens: readonly { sha256: string; spiffeId: string; addresses: readonly string[] }[]
  }
}

export function makeTokens(plan: MeshPlan, random = () => randomBytes(32).toString('base64url')): Tokens {
  const sha256 = (token: string) => createHash('sha256').update(token).digest('hex')
  const ofControl = random()
  const control = formatSpiffeId({
    trustDomain: plan.trustDomain,
    namespace: 'weft-system',
    serviceAccount: 'weft-control',
  })
  const gateways = plan.gateways.map(({ address }) => address)
  const meshed = plan.pods.filter((pod) => pod.isMeshed).map((pod) => ({ pod, token: random() }))
  return {
    ofPods: new Map(meshed.map(({ pod, token }) => [pod.name, token])),
    ofControl,
    registry: {
      tokens: [
        { sha256: sha256(ofControl), spiffeId: control, addresses: gateways },
        ...meshed.map(({ pod, token }) => ({
          sha256: sha256(token),
          spiffeId: pod.identity,
          addresses: pod.addresses,
        })),
      ],
    },
  }
}
