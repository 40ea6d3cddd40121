// Probes and hooks of containers, moved to the sidecar's health port: the kubelet has no identity, so under Strict it could
// not ask the application itself. The sidecar asks in its place (sidecar/admin/probe.ts). exec stays: it needs no network.
import { type Container, type ContainerPort, type Handler, isHeaderText } from './kubernetes-pod.ts'
import { PORTS } from './names.ts'

/** What the sidecar reads from WEFT_PROBES, by CONTAINER.readiness and the like, in the words of Kubernetes. */
export type TakenProbes = Readonly<Record<string, unknown>>

export interface Rewritten {
  readonly container: Container
  readonly taken: TakenProbes
  readonly warnings: readonly string[]
}

export interface RewriteContext {
  /** Of an earlier run on the same pod. */
  readonly previous: TakenProbes
  /** How long a preStop hook may take. */
  readonly graceSeconds: number
}

/** The longest that the sidecar takes from WEFT_PROBES. */
const MOST_SECONDS = 3600
const PROBES = { readinessProbe: 'readiness', livenessProbe: 'liveness', startupProbe: 'startup' } as const
const HOOKS = ['preStop', 'postStart'] as const

/** Done a second time nothing changes; what another webhook has added since is moved too. */
export function rewriteProbes(container: Container, context: RewriteContext): Rewritten {
  const taken: Record<string, unknown> = {}
  const warnings: string[] = []
  function move(handler: Handler, kind: string, times: Readonly<Record<string, number>>): Handler {
    const name = `${container.name}.${kind}`
    if (isMoved(handler, name)) {
      if (Object.hasOwn(context.previous, name)) taken[name] = context.previous[name]
      return handler
    }
    const action = actionOf(handler, container.ports ?? [])
    if (typeof action === 'string') warnings.push(`container ${container.name}, ${kind}: left as it is: ${action}`)
    if (action === undefined || typeof action === 'string') return handler
    taken[name] = { ...action, ...times }
    const { httpGet: _http, tcpSocket: _tcp, grpc: _grpc, ...rest } = handler
    return { ...rest, httpGet: { path: `/probe/${name}`, port: PORTS.health, scheme: 'HTTP' } }
  }
  const changed: Record<string, unknown> = {}
  for (const [field, kind] of Object.entries(PROBES) as [keyof typeof PROBES, string][]) {
    const probe = container[field]
    if (probe !== undefined) changed[field] = move(probe, kind, timesOf(probe))
  }
  const lifecycle: Record<string, unknown> = { ...container.lifecycle }
  for (const kind of HOOKS) {
    const hook = container.lifecycle?.[kind]
    // tcpSocket in a hook is a leftover of the API that no kubelet runs.
    if (hook?.httpGet !== undefined)
      lifecycle[kind] = move(hook, kind, { timeoutSeconds: atMost(context.graceSeconds) })
  }
  if (container.lifecycle !== undefined) changed['lifecycle'] = lifecycle
  return { container: { ...container, ...changed }, taken, warnings }
}

function isMoved({ httpGet }: Handler, name: string): boolean {
  return httpGet?.['port'] === PORTS.health && httpGet['path'] === `/probe/${name}`
}

function timesOf(probe: Handler): Readonly<Record<string, number>> {
  return { timeoutSeconds: atMost(probe.timeoutSeconds ?? 1), periodSeconds: atMost(probe.periodSeconds ?? 10) }
}

const atMost = (seconds: number) => Math.min(Math.max(seconds, 1), MOST_SECONDS)

/** Undefined: nothing for the sidecar (exec, sleep, another host). A text: why it cannot be moved. */
function actionOf(handler: Handler, ports: readonly ContainerPort[]): Record<string, unknown> | string | undefined {
  const { httpGet, tcpSocket, grpc } = handler
  const action = httpGet ?? tcpSocket ?? grpc
  if (action === undefined || isElsewhere(action['host'])) return undefined
  const port = portOf(action['port'], ports)
  if (port === undefined) return `no port of the container is named ${JSON.stringify(action['port'])}`
  if (httpGet !== undefined) return httpActionOf(httpGet, port)
  if (tcpSocket !== undefined) return { tcpSocket: { port } }
  const service = action['service'] ?? ''
  return typeof service === 'string' ? { grpc: { port, service } } : 'its service is no text'
}

const isElsewhere = (host: unknown) => host !== undefined && host !== null && host !== ''

/** As the kubelet resolves it: a name first, then a number written as text. */
function portOf(port: unknown, ports: readonly ContainerPort[]): number | undefined {
  const named = typeof port === 'string' ? ports.find(({ name }) => name === port)?.containerPort : undefined
  const number = named ?? (typeof port === 'string' && /^\d{1,5}$/.test(port) ? Number(port) : port)
  return typeof number === 'number' && Number.isInteger(number) && number >= 1 && number <= 65535 ? number : undefined
}

function httpActionOf(httpGet: Readonly<Record<string, unknown>>, port: number): Record<string, unknown> | string {
  const headers: { name: string; value: string }[] = []
  const given = httpGet['httpHeaders'] ?? []
  for (const header of Array.isArray(given) ? (given as unknown[]) : [null]) {
    const { name, value } = (header ?? {}) as { name?: unknown; value?: unknown }
    if (typeof name !== 'string' || typeof value !== 'string') return 'a header is no name and value'
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) || !isHeaderText(value))
      return `the header ${name.slice(0, 40)} cannot be sent`
    headers.push({ name, value })
  }
  const scheme = httpGet['scheme'] === 'HTTPS' ? 'HTTPS' : 'HTTP'
  const path = pathOf(String(httpGet['path'] ?? '/'))
  return { httpGet: { path, port, scheme, ...(headers.length > 0 && { httpHeaders: headers }) } }
}

/** As the kubelet sends it: with a slash in front, what no URL may hold encoded, without a fragment. */
function pathOf(text: string): string {
  const [path = ''] = text.split('#', 1)
  const encoded = path.toWellFormed().replaceAll(/[^!-~]/gu, encodeURIComponent)
  return encoded.startsWith('/') ? encoded : `/${encoded}`
}

/** The probes that an earlier run gave to the sidecar; what is not readable is nothing. */
export function parseTaken(text: string | undefined): TakenProbes {
  try {
    const value: unknown = JSON.parse(text ?? '{}')
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as TakenProbes) : {}
  } catch {
    return {}
  }
}
