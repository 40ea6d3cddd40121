// Which pods a word means: a pod, a workload, or a service as SERVICE or SERVICE.NAMESPACE.
import { Failure } from './failure.ts'
import type { MeshState, PodState } from './up/state.ts'

/** At least one; throws a Failure that names what there is. */
export function findPods(mesh: MeshState, word: string): readonly PodState[] {
  const pod = mesh.pods.find(({ name }) => name === word)
  if (pod !== undefined) return [pod]
  const service = mesh.services.find(({ name, namespace }) => word === name || word === `${name}.${namespace}`)
  const found = mesh.pods.filter(({ name, workload }) => service?.pods.includes(name) === true || workload === word)
  if (found.length > 0) return found
  if (service !== undefined)
    throw new Failure(`service ${word} has no pods`, 'Its selector takes none: see weft status.')
  const known = [...new Set([...mesh.services.map(({ name }) => name), ...mesh.pods.map(({ workload }) => workload)])]
  throw new Failure(
    `mesh ${mesh.name} has no service, workload or pod "${word}"`,
    `It has: ${known.join(', ')}; pods: ${mesh.pods.map(({ name }) => name).join(', ')}`,
  )
}

/** Where one is enough: the first that is ready, or else the first. */
export function findPod(mesh: MeshState, word: string): PodState {
  const pods = findPods(mesh, word)
  const [first] = pods
  if (first === undefined) throw new Error(`no pods for ${word}`)
  return pods.find(({ ready }) => ready) ?? first
}
