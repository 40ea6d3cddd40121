// As much of a Pod of Kubernetes as injection reads. Whatever else an object holds is kept as it is.
import { isAscii } from 'node:buffer'

type More = { readonly [field: string]: unknown }
export type TextMap = Readonly<Record<string, string>>

export interface Metadata extends More {
  readonly name?: string
  readonly generateName?: string
  readonly namespace?: string
  readonly labels?: TextMap
  readonly annotations?: TextMap
  readonly ownerReferences?: readonly OwnerReference[]
}

export interface OwnerReference extends More {
  readonly apiVersion?: string
  readonly kind?: string
  readonly name?: string
  readonly uid?: string
  readonly controller?: boolean
}

export interface Pod extends More {
  readonly metadata?: Metadata
  readonly spec: PodSpec
}

export interface PodSpec extends More {
  readonly containers: readonly Container[]
  readonly initContainers?: readonly Container[]
  readonly volumes?: readonly Named[]
  readonly hostNetwork?: boolean
  readonly terminationGracePeriodSeconds?: number
  readonly securityContext?: SecurityContext
  readonly os?: { readonly name?: string }
}

export interface Named extends More {
  readonly name: string
}

export interface Container extends Named {
  readonly ports?: readonly ContainerPort[]
  readonly env?: readonly EnvironmentVariable[]
  readonly volumeMounts?: readonly VolumeMount[]
  readonly resources?: Resources
  readonly restartPolicy?: string
  readonly securityContext?: SecurityContext
  readonly readinessProbe?: Handler
  readonly livenessProbe?: Handler
  readonly startupProbe?: Handler
  readonly lifecycle?: { readonly preStop?: Handler; readonly postStart?: Handler }
}

export interface SecurityContext extends More {
  readonly runAsUser?: number
  readonly runAsGroup?: number
}

export interface ContainerPort extends More {
  readonly name?: string
  readonly containerPort?: number
  readonly protocol?: string
}

export interface EnvironmentVariable extends More {
  readonly name: string
  readonly value?: string
}

export interface VolumeMount extends More {
  readonly name: string
  readonly mountPath: string
}

export interface Resources extends More {
  readonly limits?: Readonly<Record<string, unknown>>
  readonly requests?: Readonly<Record<string, unknown>>
}

/** A probe, or a hook of a container's life: what is done and, for a probe, how often. */
export interface Handler extends More {
  readonly httpGet?: More
  readonly tcpSocket?: More
  readonly grpc?: More
  readonly timeoutSeconds?: number
  readonly periodSeconds?: number
}

/** Throws a TypeError with the path of the first thing that no API server would have let through. */
export function readPod(value: unknown): Pod {
  const pod = mapAt(value, 'pod')
  if (pod['metadata'] !== undefined) readMetadata(pod['metadata'])
  const spec = mapAt(pod['spec'], 'spec')
  if (spec['containers'] === undefined) throw new TypeError('spec.containers: want a list')
  for (const field of ['containers', 'initContainers', 'volumes', 'ephemeralContainers']) {
    for (const [index, item] of listAt(spec[field], `spec.${field}`).entries()) {
      const path = `spec.${field}[${index}]`
      const container = mapAt(item, path)
      if (typeof container['name'] !== 'string') throw new TypeError(`${path}.name: want text`)
      if (field !== 'volumes') readContainer(container, path)
    }
  }
  if (spec['securityContext'] !== undefined) mapAt(spec['securityContext'], 'spec.securityContext')
  return value as Pod
}

function readMetadata(value: unknown): void {
  const metadata = mapAt(value, 'metadata')
  for (const field of ['labels', 'annotations']) {
    for (const [key, text] of Object.entries(mapAt(metadata[field] ?? {}, `metadata.${field}`))) {
      if (typeof text !== 'string') throw new TypeError(`metadata.${field}[${JSON.stringify(key)}]: want text`)
    }
  }
  for (const [index, owner] of listAt(metadata['ownerReferences'], 'metadata.ownerReferences').entries())
    mapAt(owner, `metadata.ownerReferences[${index}]`)
}

function readContainer(container: Record<string, unknown>, path: string): void {
  for (const field of ['ports', 'env', 'volumeMounts']) {
    for (const [index, item] of listAt(container[field], `${path}.${field}`).entries())
      mapAt(item, `${path}.${field}[${index}]`)
  }
  for (const field of ['readinessProbe', 'livenessProbe', 'startupProbe'])
    readHandler(container[field], `${path}.${field}`)
  const lifecycle = mapAt(container['lifecycle'] ?? {}, `${path}.lifecycle`)
  for (const field of ['preStop', 'postStart']) readHandler(lifecycle[field], `${path}.lifecycle.${field}`)
  const resources = mapAt(container['resources'] ?? {}, `${path}.resources`)
  for (const field of ['limits', 'requests']) mapAt(resources[field] ?? {}, `${path}.resources.${field}`)
  mapAt(container['securityContext'] ?? {}, `${path}.securityContext`)
}

function readHandler(value: unknown, path: string): void {
  const handler = mapAt(value ?? {}, path)
  for (const field of ['httpGet', 'tcpSocket', 'grpc']) mapAt(handler[field] ?? {}, `${path}.${field}`)
}

function mapAt(value: unknown, path: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError(`${path}: want a map`)
  return value as Record<string, unknown>
}

function listAt(value: unknown, path: string): readonly unknown[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw new TypeError(`${path}: want a list`)
  return value
}

/** What Node and the kubelet may send as the value of a header, unchanged. */
export const isHeaderText = (text: string) => isAscii(Buffer.from(text)) && /^[\t -~]*$/.test(text)

/** The Deployment of a ReplicaSet, the CronJob of a Job; undefined for a pod that nobody owns. */
export function workloadOf({ metadata = {} }: Pod): string | undefined {
  const owner = metadata.ownerReferences?.find(({ controller }) => controller === true)
  if (owner?.name === undefined) return undefined
  const hash = metadata.labels?.['pod-template-hash']
  if (owner.kind === 'ReplicaSet' && hash !== undefined && owner.name.endsWith(`-${hash}`))
    return owner.name.slice(0, -hash.length - 1)
  // The time that a CronJob made it for, in minutes.
  return owner.kind === 'Job' ? owner.name.replace(/-\d{8}$/, '') : owner.name
}
