// What the control plane compiles and decide() reads: plain JSON-safe data, the same in sidecar, CLI and webhook.

export interface ObjectRef {
  readonly kind: string
  readonly namespace: string
  readonly name: string
}

export interface ServiceRef {
  readonly namespace: string
  readonly name: string
  readonly port: number
}

export type StringMatch =
  | { readonly type: 'Exact'; readonly value: string }
  /** RE2 syntax, matches the whole value; at most 1024 characters. */
  | { readonly type: 'RegularExpression'; readonly value: string }

export type PathMatch = StringMatch | { readonly type: 'PathPrefix'; readonly value: string }

/** All parts must hold. As in HTTPRouteMatch of the Gateway API. */
export interface RouteMatch {
  readonly path?: PathMatch
  readonly method?: string
  readonly headers?: readonly ({ readonly name: string } & StringMatch)[]
  readonly queryParams?: readonly ({ readonly name: string } & StringMatch)[]
}

export interface RetryPolicy {
  /** Further tries after the first. */
  readonly attempts: number
  /** Statuses that are tried again beside connect failures and resets. */
  readonly statuses: readonly number[]
  /** Numbers of gRPC statuses that are tried again, whatever the method; absent: none. */
  readonly grpcStatuses?: readonly number[]
  /** Methods that may be repeated although a byte of the request left; default: the idempotent ones. */
  readonly methods: readonly string[]
  readonly perTryTimeoutMs: number | null
  readonly backoffBaseMs: number
  readonly budgetPercent: number
  readonly budgetMinPerSecond: number
}

export interface CircuitBreakerPolicy {
  readonly errorThresholdPercent: number
  readonly volumeThreshold: number
  readonly rollingWindowMs: number
  readonly resetTimeoutMs: number
}

/** Acts on the Service (or route) that was addressed. */
export interface RequestPolicy {
  readonly retries: RetryPolicy
  readonly requestTimeoutMs: number | null
  readonly idleTimeoutMs: number | null
  readonly circuitBreaker: CircuitBreakerPolicy | null
  /** The TrafficPolicy objects that set something, for people. */
  readonly from: readonly ObjectRef[]
}

/** Acts on the Service whose endpoints are chosen. */
export interface BackendPolicy {
  readonly algorithm: 'RoundRobin' | 'LeastRequest'
  readonly connectTimeoutMs: number
  readonly consecutiveFailures: number
  /** sessionAffinity of the Service: how long without use a sidecar keeps to the endpoint it has. Absent: not at all. */
  readonly sessionAffinityMs?: number
  /** How requests of HTTP/1.x travel to another sidecar; absent: HTTP2. */
  readonly betweenSidecars?: 'HTTP2' | 'HTTP1'
  readonly from: readonly ObjectRef[]
}

export interface WeightedBackend {
  /** Key of a BackendConfig, "namespace/name:port"; null when the reference is broken (its share gets NO_BACKEND). */
  readonly backend: string | null
  readonly weight: number
}

export interface RouteRule {
  readonly route: ObjectRef
  readonly rule: string
  /** Empty: matches everything. */
  readonly matches: readonly RouteMatch[]
  readonly backends: readonly WeightedBackend[]
  readonly policy: RequestPolicy
}

export type HttpVersion = '1.1' | '2'

/** Who parses the HTTP of a port, where it is not our own codecs: node:http and http2-proxy, which are less strict. */
export type HttpEngine = 'compat'

export interface BackendConfig {
  readonly key: string
  readonly service: ServiceRef
  /** internalTrafficPolicy: Local: its endpoints are those on the caller's node, of which there may be none. */
  readonly isLocalOnly?: boolean
  readonly policy: BackendPolicy
  /** Declared of its port: an application without a sidecar is spoken to so, whatever the caller speaks. */
  readonly httpVersion?: HttpVersion
}

/** Everything about one address and port that a client may dial. */
export interface DestinationConfig {
  /** null: a pod address that belongs to no service. */
  readonly service: ServiceRef | null
  /** service: a virtual address, routed and balanced. endpoint: a pod address, dialled as it is (identity, no routes). */
  readonly kind: 'service' | 'endpoint'
  /** From appProtocol or the port's name; opaque also for the well-known server-first ports; detect: sniff. */
  readonly protocol: 'http' | 'opaque' | 'detect'
  /** For what the application of this pod says to it. */
  readonly engine?: HttpEngine
  /** In order of precedence (one entry per match set of Gateway API precedence): the first that matches decides. */
  readonly rules: readonly RouteRule[]
  /** Where a request goes that meets no route at all (only while `rules` is empty), and all L4. */
  readonly defaultBackend: string
  readonly policy: RequestPolicy
  readonly backends: readonly BackendConfig[]
}

export type MtlsMode = 'Strict' | 'Permissive' | 'Disabled'

export interface WorkloadPort {
  readonly port: number
  readonly protocol: 'http' | 'opaque' | 'detect'
  /** Declared: the application is spoken to so, whatever the caller speaks. */
  readonly httpVersion?: HttpVersion
  readonly engine?: HttpEngine
  readonly service: string | null
}

/** What a sidecar needs to know of its own pod: the inbound side. */
export interface WorkloadConfig {
  readonly name: string
  readonly namespace: string
  readonly serviceAccount: string
  readonly labels: Readonly<Record<string, string>>
  readonly mtls: MtlsMode
  /** Declared container ports; others are detected. */
  readonly ports: readonly WorkloadPort[]
  readonly tracing: {
    /** "http://10.77.0.1:4318" (OTLP over HTTP) or "http://10.77.0.1:4317" (gRPC); null: off. */
    readonly endpoint: string | null
    readonly protocol: 'grpc' | 'http'
    /** 0 to 100: share of new traces that are sampled; a parent's decision is kept. */
    readonly samplingPercent: number
    readonly propagators: readonly ('tracecontext' | 'baggage' | 'b3' | 'b3multi')[]
  }
  readonly accessLog: boolean
}

/** What decide() looks at. Made once a request; path is canonical, `originalPath` is what was sent. */
export interface RequestFacts {
  method: string
  authority: string
  /** Canonical path without the query. */
  path: string
  /** False when the original has two readings (%2F, %5C, dot segments, //): refused only where a rule matches by path. */
  isPathPlain: boolean
  query: string
  /** name, value, ... as they came. */
  fields: readonly string[]
  /** 0 <= random < 1, for weights. */
  random: number
}

export type Decision =
  | {
      readonly kind: 'forward'
      readonly backend: string
      readonly rule: RouteRule | null
      readonly policy: RequestPolicy
    }
  | {
      readonly kind: 'refuse'
      readonly code: 'NO_ROUTE' | 'NO_BACKEND' | 'AMBIGUOUS_PATH'
      readonly rule: RouteRule | null
    }
