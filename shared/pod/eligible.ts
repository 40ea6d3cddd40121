// Whether a pod gets a sidecar. A pod that was asked for and cannot have one is admitted without, with the reason told.
import type { Container, Pod, TextMap } from './kubernetes-pod.ts'
import { INIT_CONTAINER, INJECT_LABEL, isOwnVolume, PROXY_CONTAINER, SIDECAR_ID } from './names.ts'

export type Eligibility =
  | { readonly kind: 'inject' }
  /** Nobody asked, or somebody asked not to: nothing to tell. */
  | { readonly kind: 'skip' }
  /** Asked for and impossible: told as an admission warning and an Event. At most 200 characters. */
  | { readonly kind: 'refuse'; readonly reason: string }

export interface Surroundings {
  /** Where the pod will be: its own metadata may leave it out. */
  readonly namespace: string
  readonly namespaceLabels: TextMap
  /** Weft's own, which never waits for itself. */
  readonly ownNamespace: string
}

const NEVER = new Set(['kube-system', 'kube-public', 'kube-node-lease'])
const SKIP = { kind: 'skip' } as const

/** The pod's own label beats that of its namespace; a word that is neither enabled nor disabled is told. */
export function decideInjection(pod: Pod, surroundings: Surroundings): Eligibility {
  const { namespace, ownNamespace, namespaceLabels } = surroundings
  const { labels = {}, annotations = {} } = pod.metadata ?? {}
  if (NEVER.has(namespace) || namespace === ownNamespace) return SKIP
  // The kubelet made it from a file: an API server cannot change it.
  if (annotations['kubernetes.io/config.mirror'] !== undefined) return SKIP
  const ofPod = fieldOf(labels, INJECT_LABEL)
  const word = ofPod ?? fieldOf(namespaceLabels, INJECT_LABEL)
  if (word === undefined || word === 'disabled') return SKIP
  if (word !== 'enabled') {
    const place = ofPod === undefined ? 'namespace' : 'pod'
    return refuse(`the ${place}'s label ${INJECT_LABEL} is "${word}"; want enabled or disabled`)
  }
  const reason = obstacleOf(pod)
  return reason === undefined ? { kind: 'inject' } : refuse(reason)
}

/** Why a pod cannot have a sidecar, whoever asks; undefined when it can. */
function obstacleOf({ spec }: Pod): string | undefined {
  if (spec.hostNetwork === true)
    return 'it uses the network of its node (hostNetwork), where redirection would take all traffic'
  if (spec.os?.name === 'windows') return 'it is for Windows, where there is no iptables'
  const inits = spec.initContainers ?? []
  const foreign = [...spec.containers, ...inits.filter(({ name }) => !isOwnName(name))]
  const namesake = spec.containers.find(({ name }) => isOwnName(name))
  if (namesake !== undefined) return `it has a container named ${namesake.name} of its own`
  const isInjected = inits.some(({ name }) => name === PROXY_CONTAINER)
  const volume = isInjected ? undefined : spec.volumes?.find(({ name }) => isOwnVolume(name))
  if (volume !== undefined) return `it has a volume named ${volume.name} of its own`
  const bypass = foreign.find((container) => runsAsSidecar(container, spec.securityContext))
  if (bypass !== undefined)
    return `container ${bypass.name} runs as user or group ${SIDECAR_ID}, the sidecar's own, which is not redirected`
  return undefined
}

function runsAsSidecar({ securityContext: own }: Container, ofPod: Pod['spec']['securityContext']): boolean {
  const user = own?.runAsUser ?? ofPod?.runAsUser
  const group = own?.runAsGroup ?? ofPod?.runAsGroup
  return user === SIDECAR_ID || group === SIDECAR_ID
}

const isOwnName = (name: string) => name === PROXY_CONTAINER || name === INIT_CONTAINER
const fieldOf = (labels: TextMap, key: string) => (Object.hasOwn(labels, key) ? labels[key] : undefined)
const refuse = (reason: string): Eligibility => ({ kind: 'refuse', reason: reason.slice(0, 200) })
