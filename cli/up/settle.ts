// Waits until control has taken in that the pods are ready, so that the first request after "the mesh is up" finds them.
import { setTimeout as sleep } from 'node:timers/promises'
import { formatAddress } from '#shared/address.ts'
import { call } from './http.ts'
import type { ServicePlan } from './plan.ts'
import type { Running } from './running.ts'

const LIMIT_MS = 5_000

interface Destination {
  readonly endpoints?: readonly { readonly ipv4: readonly unknown[]; readonly ipv6: readonly unknown[] }[]
}

/** Never rejects: a mesh that control does not know in time is up all the same, and `weft status` says why. */
export async function settle({ plan, paths, pods }: Running, signal: AbortSignal): Promise<void> {
  if (!plan.pods.some((pod) => pod.isMeshed)) return
  const deadline = performance.now() + LIMIT_MS
  const isReady = (name: string) => pods.get(name)?.ready === true
  for (const service of plan.services) {
    const readyPods = service.pods.filter(isReady).length
    while (performance.now() < deadline && !signal.aborted) {
      if ((await knownEndpoints(paths.controlSocket, service)) >= readyPods) break
      await sleep(20)
    }
  }
}

async function knownEndpoints(socketPath: string, { addresses, ports, namespace }: ServicePlan): Promise<number> {
  const key = formatAddress({ host: addresses[0] ?? '', port: ports[0] ?? 0 })
  const path = `/model/destination?${new URLSearchParams({ key, namespace })}`
  try {
    const { body } = await call({ socketPath, path, timeoutMs: 1_000 })
    const { endpoints = [] } = JSON.parse(body) as Destination
    return Math.max(0, ...endpoints.map(({ ipv4, ipv6 }) => Math.max(ipv4.length, ipv6.length)))
  } catch {
    return 0
  }
}
