// What the sidecar's container may use and how long it may drain: the pod's words made to agree with each other.
import type { Quantity } from './annotation-values.ts'
import { readAnnotations, type SidecarOptions } from './annotations.ts'
import type { Resources } from './kubernetes-pod.ts'

/** Of the grace: for the sidecar's end after the application's. */
const END_SECONDS = 5

/** A drain ends before the kubelet ends the pod. */
export function drainOf(options: SidecarOptions, graceSeconds: number) {
  const most = Math.max(1, graceSeconds - END_SECONDS)
  const asked = options['shutdown-grace-period'] ?? most
  const warnings =
    asked > most
      ? [`shutdown-grace-period ${asked}s is more than terminationGracePeriodSeconds ${graceSeconds} allows: ${most}s`]
      : []
  return { seconds: Math.min(asked, most), warnings }
}

/** An API server refuses a request above its limit: a word of the pod beats a default, and of two words the limit holds. */
export function resourcesOf(options: SidecarOptions): {
  value: Resources
  memoryLimitBytes: number | undefined
  warnings: readonly string[]
} {
  const defaults = readAnnotations({}).options
  const warnings: string[] = []
  function within(kind: 'cpu' | 'memory'): { request?: Quantity; limit?: Quantity } {
    const request = options[`proxy-${kind}-request`]
    const limit = options[`proxy-${kind}-limit`]
    if (request === undefined || limit === undefined || request.amount <= limit.amount)
      return { ...(request && { request }), ...(limit && { limit }) }
    if (limit.text === defaults[`proxy-${kind}-limit`]?.text) return { request, limit: request }
    if (request.text !== defaults[`proxy-${kind}-request`]?.text)
      warnings.push(`proxy-${kind}-request ${request.text} is above proxy-${kind}-limit ${limit.text}, which holds`)
    return { request: limit, limit }
  }
  const [cpu, memory] = [within('cpu'), within('memory')]
  const pick = (kind: 'request' | 'limit') => ({
    ...(cpu[kind] && { cpu: cpu[kind].text }),
    ...(memory[kind] && { memory: memory[kind].text }),
  })
  const value = { requests: pick('request'), limits: pick('limit') }
  return { value, memoryLimitBytes: memory.limit?.amount, warnings }
}
