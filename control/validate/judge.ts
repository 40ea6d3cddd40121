// What is wrong with a route or policy that is about to be stored: its text, by the schema that files pass too; and what it refers to
// or quarrels with, by the functions that compile it. So the API server says what a condition or `weft apply` would say.
import type { KubeObject } from '#shared/kube/objects.ts'
import { describeProblem, type Problem } from '#shared/resources/problem.ts'
import { describeFaults, type Model } from '../model/compile.ts'
import { refusedStatuses } from '../model/refused.ts'
import { describeRef } from '../model/status.ts'
import { type KubeDocument, readPolicy, readRoute } from '../watch/kubernetes-documents.ts'

export interface Judgement {
  /** Can never be right: it is not to be stored. */
  readonly mistakes: readonly string[]
  /** May become right by itself, when what it refers to is there, or is right for somebody else. */
  readonly warnings: readonly string[]
}

export const READERS: Readonly<Record<string, (object: KubeObject) => KubeDocument | undefined>> = {
  'gateway.networking.k8s.io/v1/httproutes': readRoute,
  'weft.dev/v1alpha1/trafficpolicies': readPolicy('TrafficPolicy'),
  'weft.dev/v1alpha1/meshpolicies': readPolicy('MeshPolicy'),
}

const NOTHING: Judgement = { mistakes: [], warnings: [] }

/** Pure. `model` is undefined until the cluster is known: what others say of the object is left out then. */
export function judgeObject(resource: string, object: KubeObject, model: Model | undefined): Judgement {
  const document = READERS[resource]?.(object)
  if (document === undefined) return NOTHING
  if (document.loaded === undefined) return judgeText(document, object)
  return { mistakes: [], warnings: model === undefined ? [] : faultsOf(document, model) }
}

/**
 * Only what nobody could make right is a mistake: what Weft does not know or support yet may be meant for a later version or for
 * somebody else, and the condition that it gets says so. The same where a Gateway is a parent too, which may take other values.
 */
function judgeText(document: KubeDocument, object: KubeObject): Judgement {
  const { ref, problems } = document
  const wrong = hasForeignParent(object) ? [] : mistakesAmong(problems)
  const mistakes = wrong.map((problem) => `${describeRef(ref)}: ${describeProblem(problem)}`)
  return { mistakes, warnings: mistakes.length > 0 ? [] : describeFaults(refusedStatuses([document])) }
}

const KIND = /\.(?:group|kind)$/

/** What is referred to by a kind that we do not know has other names, and no port. */
function mistakesAmong(problems: readonly Problem[]): readonly Problem[] {
  const foreign = problems.filter(({ isForeign, path }) => isForeign && KIND.test(path))
  const referrers = [...new Set(foreign.map(({ path }) => path.replace(KIND, '.')))]
  return problems.filter(({ isForeign, path }) => !(isForeign || referrers.some((one) => path.startsWith(one))))
}

function hasForeignParent({ spec }: KubeObject): boolean {
  const { parentRefs = [] } = (spec ?? {}) as { readonly parentRefs?: readonly { group?: string; kind?: string }[] }
  return parentRefs.some(({ group, kind }) => group !== '' || kind !== 'Service')
}

/** Its own, and those that others would have because of it. */
function faultsOf({ ref, loaded }: KubeDocument, model: Model): readonly string[] {
  if (loaded === undefined) return []
  const after = Map.groupBy(model.judge(loaded), ({ object }) => describeRef(object) === describeRef(ref))
  const before = new Set(describeFaults(model.statuses))
  const ofOthers = describeFaults(after.get(false) ?? []).filter((fault) => !before.has(fault))
  return [...describeFaults(after.get(true) ?? []), ...ofOthers]
}
