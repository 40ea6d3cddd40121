// What of the machine, and not of Weft, keeps pods from running, so that a failure by it is not looked for elsewhere.
import { run } from './kubectl.ts'

interface Condition {
  readonly type: string
  readonly status: string
  readonly reason?: string
  readonly message?: string
}

interface Named {
  readonly metadata: { readonly name: string; readonly namespace?: string }
}

export interface NodeObject extends Named {
  readonly status: { readonly conditions?: readonly Condition[] }
}

interface Waiting {
  readonly image: string
  readonly state?: { readonly waiting?: { readonly reason?: string; readonly message?: string } }
}

export interface PodObject extends Named {
  readonly status: {
    readonly reason?: string
    readonly message?: string
    readonly conditions?: readonly Condition[]
    readonly initContainerStatuses?: readonly Waiting[]
    readonly containerStatuses?: readonly Waiting[]
  }
}

const IMAGE = /^(?:ErrImage\w+|ImagePullBackOff|ImageInspectError|InvalidImageName)$/

/** A line for each thing; none: the machine is well. */
export function troublesOf(nodes: readonly NodeObject[], pods: readonly PodObject[]): readonly string[] {
  return [...(nodes.length === 0 ? ['the cluster has no node'] : nodes.flatMap(ofNode)), ...pods.flatMap(ofPod)]
}

function ofNode({ metadata, status }: NodeObject): readonly string[] {
  const { conditions = [] } = status
  const told = ({ reason = '', message = '' }: Condition) => `${reason}: ${message}`
  const pressures = conditions.filter(({ type, status }) => type.endsWith('Pressure') && status === 'True')
  const ready = conditions.find(({ type }) => type === 'Ready')
  return [
    ...(ready?.status === 'True'
      ? []
      : [`node ${metadata.name} is not ready: ${ready ? told(ready) : 'it says nothing'}`]),
    ...pressures.map((one) => `node ${metadata.name} has ${one.type}: ${told(one)}`),
  ]
}

function ofPod({ metadata, status }: PodObject): readonly string[] {
  const name = `${metadata.namespace}/${metadata.name}`
  const containers = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])]
  const images = containers.flatMap(({ image, state }) => {
    const { reason = '', message = '' } = state?.waiting ?? {}
    return IMAGE.test(reason) ? [`image ${image} of pod ${name} is not in the node: ${reason}: ${message}`] : []
  })
  const place = (status.conditions ?? []).find(({ reason }) => reason === 'Unschedulable')
  return [
    ...images,
    ...(place === undefined ? [] : [`pod ${name} has no place: ${place.message}`]),
    ...(status.reason === 'Evicted' ? [`pod ${name} was evicted: ${status.message}`] : []),
  ]
}

/** Ends with the same error; what the machine says comes first. */
export async function blamingTheMachine<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (error) {
    const troubles = await lookAtMachine()
    if (troubles.length === 0) throw error
    const said = error instanceof Error ? error.message : String(error)
    throw new Error(`BY THE MACHINE, as it seems:\n${troubles.join('\n')}\nso that ${said}`, { cause: error })
  }
}

async function lookAtMachine(): Promise<readonly string[]> {
  const [nodes, pods] = await Promise.all([list<NodeObject>('nodes'), list<PodObject>('pods')])
  if (typeof nodes === 'string') return [`the API server of the cluster does not answer: ${nodes}`]
  return troublesOf(nodes, typeof pods === 'string' ? [] : pods)
}

async function list<T>(kind: string): Promise<readonly T[] | string> {
  const argv = ['get', kind, '--all-namespaces', '-o', 'json', '--request-timeout=30s']
  const { status, stdout, stderr } = await run('kubectl', argv)
  return status === 0 ? (JSON.parse(stdout) as { items: readonly T[] }).items : stderr.trim()
}
