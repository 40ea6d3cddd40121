// What a namespace says of injection, asked of the API server itself: a webhook that is registered with wrong selectors must not
// get sidecars into namespaces that want none. Only a yes is kept, for a short while: a namespace that has just been labelled must
// not lose the sidecars of its first pods to an older no.
import type { Clock } from '#shared/clock.ts'
import type { KubeClient } from '#shared/kube/client.ts'
import { NAMESPACES } from '#shared/kube/objects.ts'
import type { Log } from '#shared/log.ts'
import type { TextMap } from '#shared/pod/kubernetes-pod.ts'
import { INJECT_LABEL } from '#shared/pod/names.ts'
import type { Namespaces } from './admit.ts'

export interface NamespacesOptions {
  /** With a limit of its own well below that of a review. */
  readonly client: Pick<KubeClient, 'get'>
  readonly clock: Clock
  readonly log: Log
}

const KEEP_MS = 10_000
const MOST_KEPT = 1000

interface Kept {
  readonly labels: TextMap
  readonly until: number
}

export function createNamespaces({ client, clock, log }: NamespacesOptions): Namespaces {
  const kept = new Map<string, Kept>()
  const asking = new Map<string, Promise<TextMap | undefined>>()

  async function ask(name: string): Promise<TextMap | undefined> {
    try {
      const { metadata } = await client.get(NAMESPACES, { name })
      const labels = metadata.labels ?? {}
      if (labels[INJECT_LABEL] === 'enabled') keep(name, labels)
      return labels
    } catch (error) {
      log.warn({ namespace: name, reason: String(error) }, 'a namespace cannot be read')
      return undefined
    }
  }
  function keep(name: string, labels: TextMap): void {
    kept.delete(name)
    kept.set(name, { labels, until: clock.now() + KEEP_MS })
    const [oldest] = kept.keys()
    if (kept.size > MOST_KEPT && oldest !== undefined) kept.delete(oldest)
  }

  return {
    labelsOf(name) {
      const known = kept.get(name)
      if (known !== undefined && clock.now() < known.until) return known.labels
      // A hundred pods of one Deployment ask once.
      const question = asking.get(name) ?? ask(name).finally(() => asking.delete(name))
      asking.set(name, question)
      return question
    },
  }
}
