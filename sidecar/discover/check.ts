// Configuration comes as JSON from a control plane of maybe another version: what this sidecar would trip over is refused here,
// so that the path may trust the types.
import type { DestinationConfig, WorkloadConfig } from '#shared/decide/config.ts'

type Fields = Readonly<Record<string, unknown>>
type Kind = 'text' | 'number' | 'list' | 'object' | 'flag' | 'object or null'

const TESTS: Readonly<Record<Kind, (value: unknown) => boolean>> = {
  text: (value) => typeof value === 'string',
  number: (value) => typeof value === 'number',
  list: Array.isArray,
  flag: (value) => typeof value === 'boolean',
  object: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'object or null': (value) => typeof value === 'object' && !Array.isArray(value),
}

function demand(value: unknown, path: string, shape: Readonly<Record<string, Kind>>): Fields {
  if (!TESTS.object(value)) throw new TypeError(`${path}: want an object`)
  const fields = value as Fields
  for (const [name, kind] of Object.entries(shape)) {
    if (!TESTS[kind](fields[name])) throw new TypeError(`${path}.${name}: want ${kind}`)
  }
  return fields
}

function demandOneOf(value: unknown, path: string, allowed: readonly string[]): void {
  if (!allowed.includes(value as string)) {
    throw new TypeError(`${path}: "${String(value)}" is none of ${allowed.join(', ')}`)
  }
}

const PROTOCOLS = ['http', 'opaque', 'detect']
const REQUEST_POLICY = { retries: 'object', circuitBreaker: 'object or null', from: 'list' } as const

/** Throws a TypeError that names the field. */
export function readDestination(json: string): DestinationConfig {
  const config: unknown = JSON.parse(json)
  const shape = { service: 'object or null', rules: 'list', defaultBackend: 'text', policy: 'object', backends: 'list' }
  const fields = demand(config, 'destination', shape as Record<string, Kind>)
  demandOneOf(fields['kind'], 'destination.kind', ['service', 'endpoint'])
  demandOneOf(fields['protocol'], 'destination.protocol', PROTOCOLS)
  demand(fields['policy'], 'destination.policy', REQUEST_POLICY)
  for (const [at, rule] of (fields['rules'] as unknown[]).entries()) {
    const path = `destination.rules[${at}]`
    const { policy } = demand(rule, path, { route: 'object', rule: 'text', matches: 'list', backends: 'list' })
    demand(policy, `${path}.policy`, REQUEST_POLICY)
  }
  for (const [at, backend] of (fields['backends'] as unknown[]).entries()) {
    demand(backend, `destination.backends[${at}]`, { key: 'text', service: 'object', policy: 'object' })
  }
  return config as DestinationConfig
}

/** Throws a TypeError that names the field. */
export function readWorkload(json: string): WorkloadConfig {
  const config: unknown = JSON.parse(json)
  const fields = demand(config, 'workload', {
    name: 'text',
    namespace: 'text',
    serviceAccount: 'text',
    labels: 'object',
    ports: 'list',
    tracing: 'object',
    accessLog: 'flag',
  })
  demandOneOf(fields['mtls'], 'workload.mtls', ['Strict', 'Permissive', 'Disabled'])
  for (const [at, port] of (fields['ports'] as unknown[]).entries()) {
    const { protocol } = demand(port, `workload.ports[${at}]`, { port: 'number', protocol: 'text' })
    demandOneOf(protocol, `workload.ports[${at}].protocol`, PROTOCOLS)
  }
  demand(fields['tracing'], 'workload.tracing', { protocol: 'text', samplingPercent: 'number', propagators: 'list' })
  return config as WorkloadConfig
}
