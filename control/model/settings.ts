// TrafficPolicies as flat settings, so that several are merged field by field; and the defaults of what nobody set (docs/resources.md).
import type { BackendPolicy, ObjectRef, RequestPolicy, RetryPolicy } from '#shared/decide/config.ts'
import { GRPC_STATUSES } from '#shared/grpc-status.ts'
import type { TrafficPolicySpec } from '#shared/resources/traffic-policy.ts'
import { parseDuration } from '#shared/settings.ts'

/** null: switched off. Absent: not said. Names are those of the fields in a TrafficPolicy, for messages. */
export interface Settings {
  readonly 'retries.attempts'?: number
  readonly 'retries.statuses'?: readonly number[]
  readonly 'retries.methods'?: readonly string[]
  readonly 'retries.grpcStatuses'?: readonly number[]
  readonly 'retries.perTryTimeout'?: number | null
  readonly 'retries.backoff.base'?: number
  readonly 'retries.budget.percent'?: number
  readonly 'retries.budget.minPerSecond'?: number
  readonly 'timeouts.request'?: number | null
  readonly 'timeouts.idle'?: number | null
  readonly 'timeouts.connect'?: number
  readonly 'circuitBreaker.errorThresholdPercent'?: number
  readonly 'circuitBreaker.volumeThreshold'?: number
  readonly 'circuitBreaker.rollingWindow'?: number
  readonly 'circuitBreaker.resetTimeout'?: number
  readonly 'loadBalancing.algorithm'?: 'RoundRobin' | 'LeastRequest'
  readonly 'outlierDetection.consecutiveFailures'?: number
  readonly 'connections.betweenSidecars'?: 'HTTP2' | 'HTTP1'
  /** The section is there, if only as {}. */
  readonly retries?: true
  readonly circuitBreaker?: true
}

export type SettingName = keyof Settings
export const SECTIONS: ReadonlySet<SettingName> = new Set<SettingName>(['retries', 'circuitBreaker'])

const BACKEND_SETTINGS: ReadonlySet<SettingName> = new Set<SettingName>([
  'loadBalancing.algorithm',
  'timeouts.connect',
  'outlierDetection.consecutiveFailures',
  'connections.betweenSidecars',
])

export interface Merged {
  readonly settings: Settings
  /** Who set what is in force. */
  readonly by: ReadonlyMap<SettingName, ObjectRef>
}

export function settingsOf(spec: TrafficPolicySpec): Settings {
  const { retries, timeouts, circuitBreaker } = spec
  return withoutAbsent({
    'retries.attempts': retries?.attempts,
    'retries.statuses': retries?.statuses,
    'retries.methods': retries?.methods,
    'retries.grpcStatuses': retries?.grpcStatuses?.map((name) => GRPC_STATUSES.indexOf(name)),
    'retries.perTryTimeout': limitOf(retries?.perTryTimeout),
    'retries.backoff.base': durationOf(retries?.backoff?.base),
    'retries.budget.percent': retries?.budget?.percent,
    'retries.budget.minPerSecond': retries?.budget?.minPerSecond,
    'timeouts.request': limitOf(timeouts?.request),
    'timeouts.idle': limitOf(timeouts?.idle),
    'timeouts.connect': durationOf(timeouts?.connect),
    'circuitBreaker.errorThresholdPercent': circuitBreaker?.errorThresholdPercent,
    'circuitBreaker.volumeThreshold': circuitBreaker?.volumeThreshold,
    'circuitBreaker.rollingWindow': durationOf(circuitBreaker?.rollingWindow),
    'circuitBreaker.resetTimeout': durationOf(circuitBreaker?.resetTimeout),
    'loadBalancing.algorithm': spec.loadBalancing?.algorithm,
    'outlierDetection.consecutiveFailures': spec.outlierDetection?.consecutiveFailures,
    'connections.betweenSidecars': spec.connections?.betweenSidecars,
    retries: retries && true,
    circuitBreaker: circuitBreaker && true,
  })
}

function withoutAbsent(settings: { readonly [K in SettingName]: Settings[K] | undefined }): Settings {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined))
}

function durationOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseDuration(text)
}

/** "0s" is no limit. */
export function limitOf(text: string | undefined): number | null | undefined {
  const duration = durationOf(text)
  return duration === 0 ? null : duration
}

/** Idempotent by RFC 9110 section 9.2.2. */
const IDEMPOTENT = ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']
/** Only where a policy asks for retries: an answer that nobody asked to repeat goes to the caller as it is. */
const ASKED_STATUSES = [502, 503, 504]

function retriesOf(settings: Settings): RetryPolicy {
  return {
    attempts: settings['retries.attempts'] ?? 2,
    statuses: settings['retries.statuses'] ?? (settings.retries ? ASKED_STATUSES : []),
    methods: settings['retries.methods'] ?? IDEMPOTENT,
    grpcStatuses: settings['retries.grpcStatuses'] ?? [],
    perTryTimeoutMs: settings['retries.perTryTimeout'] ?? null,
    backoffBaseMs: settings['retries.backoff.base'] ?? 25,
    budgetPercent: settings['retries.budget.percent'] ?? 20,
    budgetMinPerSecond: settings['retries.budget.minPerSecond'] ?? 3,
  }
}

export function requestPolicy({ settings, by }: Merged): RequestPolicy {
  return {
    retries: retriesOf(settings),
    requestTimeoutMs: settings['timeouts.request'] ?? null,
    idleTimeoutMs: settings['timeouts.idle'] ?? null,
    circuitBreaker: settings.circuitBreaker
      ? {
          errorThresholdPercent: settings['circuitBreaker.errorThresholdPercent'] ?? 50,
          volumeThreshold: settings['circuitBreaker.volumeThreshold'] ?? 20,
          rollingWindowMs: settings['circuitBreaker.rollingWindow'] ?? 10_000,
          resetTimeoutMs: settings['circuitBreaker.resetTimeout'] ?? 5_000,
        }
      : null,
    from: authors(by, (name) => !BACKEND_SETTINGS.has(name)),
  }
}

export function backendPolicy({ settings, by }: Merged): BackendPolicy {
  return {
    algorithm: settings['loadBalancing.algorithm'] ?? 'LeastRequest',
    connectTimeoutMs: settings['timeouts.connect'] ?? 2_000,
    consecutiveFailures: settings['outlierDetection.consecutiveFailures'] ?? 5,
    betweenSidecars: settings['connections.betweenSidecars'] ?? 'HTTP2',
    from: authors(by, (name) => BACKEND_SETTINGS.has(name)),
  }
}

function authors(
  by: ReadonlyMap<SettingName, ObjectRef>,
  isMeant: (name: SettingName) => boolean,
): readonly ObjectRef[] {
  return [...new Set([...by].filter(([name]) => isMeant(name)).map(([, ref]) => ref))]
}
