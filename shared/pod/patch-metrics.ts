// prometheus.io/* on a pod: pointed at the sidecar, which shows the application's page beside its own, since a scraper
// without an identity could not reach the application under Strict.
import type { ContainerPort, Pod } from './kubernetes-pod.ts'
import { PORTS } from './names.ts'

const SCRAPE = 'prometheus.io/scrape'
const PORT = 'prometheus.io/port'
const PATH = 'prometheus.io/path'
const SCHEME = 'prometheus.io/scheme'

export interface MergedMetrics {
  readonly annotations: Readonly<Record<string, string>>
  /** "9090/metrics"; empty: the application shows none. */
  readonly application: string
  readonly warnings: readonly string[]
}

/** `earlier`: what a first run found, before it pointed the annotations at the sidecar. */
export function mergeMetrics(pod: Pod, earlier: string | undefined): MergedMetrics {
  const given = pod.metadata?.annotations ?? {}
  const annotations = { [SCRAPE]: 'true', [PORT]: `${PORTS.metrics}`, [PATH]: '/metrics' }
  if (given[SCRAPE] === undefined) return { annotations, application: '', warnings: [] }
  // Who wants no scraping gets none.
  if (given[SCRAPE] !== 'true') return { annotations: {}, application: '', warnings: [] }
  if (given[PORT] === `${PORTS.metrics}`) return { annotations, application: earlier ?? '', warnings: [] }
  if ((given[SCHEME] ?? 'http') !== 'http') return leave('only metrics over http can be shown by the sidecar')
  const port = given[PORT] ?? firstPortOf(pod)
  if (port === undefined || !/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65535)
    return leave(`${PORT} is no port`)
  const path = given[PATH] ?? '/metrics'
  if (!/^\/[!-~]{0,1000}$/.test(path)) return leave(`${PATH} is no path such as /metrics`)
  return { annotations, application: `${Number(port)}${path}`, warnings: [] }
}

function leave(why: string): MergedMetrics {
  return { annotations: {}, application: '', warnings: [`prometheus.io annotations are left as they are: ${why}`] }
}

function firstPortOf({ spec }: Pod): string | undefined {
  const ports = spec.containers.flatMap((container): readonly ContainerPort[] => container.ports ?? [])
  const first = ports.find(({ protocol = 'TCP' }) => protocol === 'TCP')?.containerPort
  return first === undefined ? undefined : `${first}`
}
