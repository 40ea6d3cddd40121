// Tells the owner of a pod, by an Event, why it runs without a sidecar: the pod itself does not exist yet. A ReplicaSet that
// makes a hundred pods is told once.
import { randomBytes } from 'node:crypto'
import type { Clock } from '#shared/clock.ts'
import type { KubeClient } from '#shared/kube/client.ts'
import { EVENTS } from '#shared/kube/objects.ts'
import type { Log } from '#shared/log.ts'
import type { Refusal, Reporter } from './admit.ts'

export interface EventReporterOptions {
  readonly client: Pick<KubeClient, 'create'>
  readonly clock: Clock
  readonly log: Log
}

const AGAIN_MS = 10 * 60 * 1000
/** What is told at a time, and remembered: a storm of refusals must not become one of Events. */
const MOST_AT_ONCE = 10
const MOST_REMEMBERED = 1000
/** Anybody who reaches the webhook can send it pods that are refused, each with another name: an hour holds some 770 Events. */
const MOST_IN_A_ROW = 50
const ONE_MORE_EACH_MS = 5000

export function createEventReporter({ client, clock, log }: EventReporterOptions): Reporter {
  const told = new Map<string, number>()
  let running = 0
  let [left, countedAt] = [MOST_IN_A_ROW, clock.now()]

  function mayTell(): boolean {
    const more = Math.floor((clock.now() - countedAt) / ONE_MORE_EACH_MS)
    left = Math.min(MOST_IN_A_ROW, left + more)
    countedAt += more * ONE_MORE_EACH_MS
    return left > 0
  }
  function isNews(key: string): boolean {
    const last = told.get(key)
    if (last !== undefined && clock.now() - last < AGAIN_MS) return false
    told.delete(key)
    told.set(key, clock.now())
    const [oldest] = told.keys()
    if (told.size > MOST_REMEMBERED && oldest !== undefined) told.delete(oldest)
    return true
  }

  return {
    refused(refusal) {
      const about = aboutOf(refusal)
      // A pod that nobody owns and that has no name yet: the admission warning says it.
      if (about === undefined || running >= MOST_AT_ONCE || !mayTell()) return
      if (!isNews(`${refusal.namespace}/${about.kind}/${about.name}: ${refusal.reason}`)) return
      running++
      left--
      client
        .create(EVENTS, toEvent(refusal, about, new Date(clock.wall())))
        .catch((error: unknown) => log.warn({ reason: String(error) }, 'an Event could not be written'))
        .finally(() => running--)
    },
  }
}

interface About {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid?: string
}

function aboutOf({ owner, pod }: Refusal): About | undefined {
  if (owner?.kind !== undefined && owner.name !== undefined) {
    const { apiVersion = '', kind, name, uid } = owner
    return { apiVersion, kind, name, ...(uid !== undefined && { uid }) }
  }
  return pod.endsWith('...') ? undefined : { apiVersion: 'v1', kind: 'Pod', name: pod }
}

function toEvent({ namespace, reason, pod }: Refusal, about: About, at: Date) {
  const time = at.toISOString().replace(/\.\d+Z$/, 'Z')
  return {
    metadata: { namespace, name: `${about.name.slice(0, 200)}.weft-${randomBytes(8).toString('hex')}` },
    involvedObject: { ...about, namespace },
    type: 'Warning',
    reason: 'NoSidecar',
    message: `pod ${pod} was admitted without a sidecar of Weft: ${reason}`.slice(0, 1000),
    source: { component: 'weft-injector' },
    firstTimestamp: time,
    lastTimestamp: time,
    count: 1,
  }
}
