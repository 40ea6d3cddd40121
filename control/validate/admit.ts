// One review: deny what can never be right, warn of what is not right yet. Whatever goes wrong here admits the object: a condition
// tells its author all the same.
import type { Clock } from '#shared/clock.ts'
import type { KubeObject } from '#shared/kube/objects.ts'
import type { Log } from '#shared/log.ts'
import type { Watch } from '#shared/watch.ts'
import type { AdmissionRequest } from '#shared/webhook/review.ts'
import type { Judged } from '#shared/webhook/server.ts'
import type { Model } from '../model/compile.ts'
import { judgeObject, READERS } from './judge.ts'

export interface AdmitOptions {
  readonly model: Watch<Model | undefined>
  readonly ownNamespace: string
  readonly clock: Clock
  readonly log: Log
}

export type Outcome = 'accepted' | 'warned' | 'denied' | 'skipped' | 'failed'

/** What the cluster and Weft need to come up is never ours to refuse. */
const NEVER = new Set(['kube-system', 'kube-public', 'kube-node-lease'])
const SKIPPED: Judged<Outcome> = { outcome: 'skipped', verdict: {} }
const MOST_MISTAKES = 20

/** Never throws. */
export function admit(request: AdmissionRequest, options: AdmitOptions): Judged<Outcome> {
  const { namespace, resource } = request
  if (NEVER.has(namespace) || namespace === options.ownNamespace) return SKIPPED
  if (request.operation !== 'CREATE' && request.operation !== 'UPDATE') return SKIPPED
  if (!Object.hasOwn(READERS, resource)) return SKIPPED
  try {
    return judge(request, options)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    options.log.error({ err: cause, namespace, resource, uid: request.uid }, 'an object could not be checked')
    return { outcome: 'failed', verdict: { warnings: [`not checked (${why.slice(0, 150)}): see its conditions`] } }
  }
}

function judge(request: AdmissionRequest, { model, clock, log }: AdmitOptions): Judged<Outcome> {
  const object = request.object as KubeObject
  if (isAsBefore(object, request.oldObject as KubeObject | null)) return SKIPPED
  const { namespace } = request
  const { metadata } = object
  // A new object is the youngest, and no policy may win for want of a time.
  const creationTimestamp = metadata.creationTimestamp ?? new Date(clock.wall()).toISOString()
  const dated = { ...object, metadata: { ...metadata, namespace, creationTimestamp } }
  const { mistakes, warnings } = judgeObject(request.resource, dated, model.current)
  if (mistakes.length === 0) return { outcome: warnings.length === 0 ? 'accepted' : 'warned', verdict: { warnings } }
  log.info({ namespace, name: metadata.name, mistakes, dryRun: request.isDryRun }, 'an object was refused')
  const more = mistakes.length > MOST_MISTAKES ? [`and ${mistakes.length - MOST_MISTAKES} more`] : []
  const message = [...mistakes.slice(0, MOST_MISTAKES), ...more].join('; ')
  return { outcome: 'denied', verdict: { denial: { code: 422, message } } }
}

/** Labels, finalizers and status of what is stored can be changed whatever its spec says: else it could not even be deleted. */
function isAsBefore(object: KubeObject, old: KubeObject | null): boolean {
  if (object.metadata.deletionTimestamp !== undefined) return true
  return old !== null && JSON.stringify(object['spec']) === JSON.stringify(old['spec'])
}
