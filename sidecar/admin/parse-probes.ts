// Reads WEFT_PROBES: the probes that the injector (or `weft up`) took out of the pod, in the words of Kubernetes.
import type { Action, GrpcCheck, HttpGet, Probe, Probes } from './probe.ts'

/** Throws one TypeError that names every mistake with its path. Empty text: no probes. */
export function parseProbes(text: string): Probes {
  const mistakes: string[] = []
  const probes = new Map<string, Probe>()
  if (text.trim() === '') return probes
  for (const [name, value] of Object.entries(parseObject(text))) {
    const probe = /^[A-Za-z0-9._-]{1,128}$/.test(name) ? readProbe(name, value, mistakes) : undefined
    if (probe === undefined && mistakes.length === 0)
      mistakes.push(`${JSON.stringify(name)}: want a name such as readiness`)
    if (probe !== undefined) probes.set(name, probe)
  }
  if (mistakes.length > 0) throw new TypeError(`WEFT_PROBES: ${mistakes.join('; ')}`)
  return probes
}

function parseObject(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new TypeError('WEFT_PROBES: want a JSON object', { cause })
  }
  if (!isObject(value)) throw new TypeError('WEFT_PROBES: want a JSON object')
  return value
}

function readProbe(name: string, value: unknown, mistakes: string[]): Probe | undefined {
  const action = isObject(value) ? readAction(name, value, mistakes) : undefined
  if (!isObject(value) || action === undefined) {
    if (mistakes.length === 0) mistakes.push(`${name}: want httpGet, tcpSocket or grpc`)
    return undefined
  }
  // Defaults of the Kubernetes API.
  return {
    action,
    timeoutMs: 1000 * readSeconds(`${name}.timeoutSeconds`, value['timeoutSeconds'], { fallback: 1, mistakes }),
    periodMs: 1000 * readSeconds(`${name}.periodSeconds`, value['periodSeconds'], { fallback: 10, mistakes }),
  }
}

function readAction(name: string, probe: Record<string, unknown>, mistakes: string[]): Action | undefined {
  const { httpGet, tcpSocket, grpc } = probe
  if (isObject(grpc)) return readGrpc(`${name}.grpc`, grpc, mistakes)
  if (isObject(httpGet)) return readHttpGet(`${name}.httpGet`, httpGet, mistakes)
  if (!isObject(tcpSocket)) return undefined
  return { kind: 'tcpSocket', port: readPort(`${name}.tcpSocket.port`, tcpSocket['port'], mistakes) }
}

function readHttpGet(path: string, value: Record<string, unknown>, mistakes: string[]): HttpGet {
  const target = value['path'] ?? '/'
  // What node:http refuses to send is a mistake here, not a failing probe later.
  if (typeof target !== 'string' || !/^\/[!-~]*$/.test(target))
    mistakes.push(`${path}.path: want a path such as /ready`)
  const scheme = value['scheme'] ?? 'HTTP'
  if (scheme !== 'HTTP' && scheme !== 'HTTPS') mistakes.push(`${path}.scheme: want HTTP or HTTPS`)
  return {
    kind: 'httpGet',
    path: String(target),
    port: readPort(`${path}.port`, value['port'], mistakes),
    scheme: scheme === 'HTTPS' ? 'HTTPS' : 'HTTP',
    headers: readHeaders(`${path}.httpHeaders`, value['httpHeaders'] ?? [], mistakes),
  }
}

function readGrpc(path: string, value: Record<string, unknown>, mistakes: string[]): GrpcCheck {
  const service = value['service'] ?? ''
  if (typeof service !== 'string') mistakes.push(`${path}.service: want text`)
  return { kind: 'grpc', port: readPort(`${path}.port`, value['port'], mistakes), service: String(service) }
}

function readHeaders(path: string, value: unknown, mistakes: string[]): { name: string; value: string }[] {
  const headers: { name: string; value: string }[] = []
  for (const item of Array.isArray(value) ? value : [null]) {
    const { name, value: text } = isObject(item) ? item : {}
    const isFit = typeof name === 'string' && /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)
    if (isFit && typeof text === 'string' && /^[\t -~]*$/.test(text)) headers.push({ name, value: text })
    else mistakes.push(`${path}: want a list of {"name": ..., "value": ...}`)
  }
  return headers
}

function readPort(path: string, value: unknown, mistakes: string[]): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65535) return value
  mistakes.push(`${path}: want a port, 1 to 65535`)
  return 0
}

function readSeconds(path: string, value: unknown, rest: { fallback: number; mistakes: string[] }): number {
  if (value === undefined) return rest.fallback
  if (typeof value === 'number' && value > 0 && value <= 3600) return value
  rest.mistakes.push(`${path}: want seconds, more than 0 and at most 3600`)
  return rest.fallback
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
