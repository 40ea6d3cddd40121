// In which namespaces sidecars are to be: those with the label, our own, and those with a pod that asks for one by itself.
import type { Clock } from '#shared/clock.ts'
import type { KubeClient } from '#shared/kube/client.ts'
import { createInformer, hasSynced } from '#shared/kube/informer.ts'
import { type KubeObject, NAMESPACES, PODS, pathOf } from '#shared/kube/objects.ts'
import type { Log } from '#shared/log.ts'
import { INJECT_LABEL, STATUS_ANNOTATION } from '#shared/pod/names.ts'
import { type Watch, Watched } from '#shared/watch.ts'

export interface NamespacesOptions {
  readonly client: Pick<KubeClient, 'list' | 'watch' | 'send'>
  readonly own: string
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
}

export interface Namespaces {
  /** True: sidecars are to be there. Namespaces that are being deleted are left out. Empty until they have been listed. */
  readonly current: Watch<ReadonlyMap<string, boolean>>
  close(): void
}

/** A pod waits for its volumes meanwhile, and the kubelet tries again every few seconds. */
const PODS_POLL_MS = 10_000

export function watchNamespaces(options: NamespacesOptions): Namespaces {
  const { client, clock, log, own } = options
  const current = new Watched<ReadonlyMap<string, boolean>>(new Map())
  let asking: ReadonlySet<string> = new Set()
  let complaint = ''
  let isClosed = false
  let cancel = () => {}
  const labelled = createInformer({ ...options, kind: NAMESPACES, project: isLabelled })

  function tell(): void {
    if (isClosed || !hasSynced(labelled)) return
    const entries = [...labelled.objects.current].map(
      ([name, { isOn }]) => [name, isOn || name === own || asking.has(name)] as const,
    )
    const next = new Map(entries)
    if (!isSame(next, current.current)) current.set(next)
  }
  async function lookAtPods(): Promise<void> {
    try {
      asking = await namespacesOfAskingPods(client)
      complaint = ''
      tell()
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      if (reason !== complaint) log.warn({ reason }, 'pods that ask for a sidecar by themselves cannot be listed')
      complaint = reason
    }
    if (!isClosed) cancel = clock.after(PODS_POLL_MS, () => void lookAtPods())
  }

  const stops = [labelled.objects.subscribe(tell), labelled.state.subscribe(tell)]
  void lookAtPods()
  return {
    current,
    close() {
      isClosed = true
      cancel()
      for (const stop of stops) stop()
      labelled.close()
    },
  }
}

function isLabelled({ metadata }: KubeObject): { readonly isOn: boolean } | undefined {
  if (metadata.deletionTimestamp !== undefined) return undefined
  return { isOn: metadata.labels?.[INJECT_LABEL] === 'enabled' }
}

function isSame(a: ReadonlyMap<string, boolean>, b: ReadonlyMap<string, boolean>): boolean {
  return a.size === b.size && [...a].every(([name, isOn]) => b.get(name) === isOn)
}

async function namespacesOfAskingPods(client: Pick<KubeClient, 'send'>): Promise<ReadonlySet<string>> {
  const query = new URLSearchParams({ labelSelector: `${INJECT_LABEL}=enabled`, resourceVersion: '0' })
  const found = await client.send('list pods that ask for a sidecar', 'GET', `${pathOf(PODS)}?${query}`)
  const { items } = found as { items?: readonly KubeObject[] | null }
  return new Set((items ?? []).flatMap(({ metadata }) => metadata.namespace ?? []))
}

/** Whether a pod of the namespace mounts the bundle or soon will. */
export async function hasSidecars(client: Pick<KubeClient, 'list'>, namespace: string): Promise<boolean> {
  const { items } = await client.list(PODS, { namespace })
  return items.some(
    ({ metadata: { annotations, labels } }) =>
      annotations?.[STATUS_ANNOTATION]?.includes('"injected":true') === true || labels?.[INJECT_LABEL] === 'enabled',
  )
}
