// Every metric that a sidecar exposes. docs/telemetry.md holds the same table and a test compares the two.
// HTTP names follow the semantic conventions of OpenTelemetry with dots as underscores; what the mesh adds begins with weft_.

export interface Metric {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly labels: readonly string[]
  readonly help: string
}

/** Seconds; the boundaries that the semantic conventions ask for. */
export const DURATION_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10] as const

export const SERVER_LABELS = [
  'weft_service',
  'weft_peer',
  'http_route',
  'http_request_method',
  'http_response_status_code',
  'network_protocol_version',
  'error_type',
  'weft_reason',
  'rpc_status_code',
] as const
export const CLIENT_LABELS = [...SERVER_LABELS, 'server_address', 'server_port'] as const
export const TCP_LABELS = [
  'weft_direction',
  'network_protocol_name',
  'weft_service',
  'weft_peer',
  'weft_reason',
] as const

export const METRICS = {
  serverDuration: {
    name: 'http_server_request_duration_seconds',
    type: 'histogram',
    labels: SERVER_LABELS,
    help: 'Duration of requests that came to this pod, first byte of the head to the last byte of the answer.',
  },
  serverRequests: {
    name: 'http_server_requests_total',
    type: 'counter',
    labels: SERVER_LABELS,
    help: 'Requests that came to this pod and are over.',
  },
  serverRequestBytes: {
    name: 'http_server_request_body_size_bytes_total',
    type: 'counter',
    labels: SERVER_LABELS,
    help: 'Bytes of the bodies of requests that came to this pod.',
  },
  serverResponseBytes: {
    name: 'http_server_response_body_size_bytes_total',
    type: 'counter',
    labels: SERVER_LABELS,
    help: 'Bytes of the bodies of answers that this pod gave.',
  },
  clientDuration: {
    name: 'http_client_request_duration_seconds',
    type: 'histogram',
    labels: CLIENT_LABELS,
    help: 'Duration of requests that this pod made, all tries together.',
  },
  clientRequests: {
    name: 'http_client_requests_total',
    type: 'counter',
    labels: CLIENT_LABELS,
    help: 'Requests that this pod made and that are over, each counted once whatever its tries.',
  },
  clientRequestBytes: {
    name: 'http_client_request_body_size_bytes_total',
    type: 'counter',
    labels: CLIENT_LABELS,
    help: 'Bytes of the bodies of requests that this pod made.',
  },
  clientResponseBytes: {
    name: 'http_client_response_body_size_bytes_total',
    type: 'counter',
    labels: CLIENT_LABELS,
    help: 'Bytes of the bodies of answers that this pod got.',
  },
  tcpOpened: {
    name: 'weft_tcp_connections_opened_total',
    type: 'counter',
    labels: ['weft_direction'],
    help: 'Connections accepted.',
  },
  tcpOpen: {
    name: 'weft_tcp_connections_open',
    type: 'gauge',
    labels: ['weft_direction'],
    help: 'Connections accepted and not over.',
  },
  tcpClosed: {
    name: 'weft_tcp_connections_closed_total',
    type: 'counter',
    labels: TCP_LABELS,
    help: 'Connections that are over.',
  },
  tcpSent: {
    name: 'weft_tcp_sent_bytes_total',
    type: 'counter',
    labels: TCP_LABELS,
    help: 'Bytes of the application from the opener to the server, on connections that are over.',
  },
  tcpReceived: {
    name: 'weft_tcp_received_bytes_total',
    type: 'counter',
    labels: TCP_LABELS,
    help: 'Bytes of the application from the server to the opener, on connections that are over.',
  },
  retries: {
    name: 'weft_retries_total',
    type: 'counter',
    labels: ['weft_service'],
    help: 'Tries after the first.',
  },
  retriesOverBudget: {
    name: 'weft_retries_over_budget_total',
    type: 'counter',
    labels: ['weft_service'],
    help: 'Tries that were not made because the retry budget was spent.',
  },
  breaker: {
    name: 'weft_circuit_breaker_state',
    type: 'gauge',
    labels: ['weft_service'],
    help: 'Circuit breaker of a service: 0 closed, 1 half open, 2 open.',
  },
  certificateExpiry: {
    name: 'weft_certificate_expiry_timestamp_seconds',
    type: 'gauge',
    labels: ['weft_certificate'],
    help: 'When the certificate (workload) or the first root (root) expires, seconds since 1970.',
  },
  eventLoopDelay: {
    name: 'nodejs_eventloop_delay_p99_seconds',
    type: 'gauge',
    labels: [],
    help: '99th percentile of the delay of the event loop since the last scrape.',
  },
  spansExported: {
    name: 'weft_spans_exported_total',
    type: 'counter',
    labels: [],
    help: 'Spans that the collector has taken.',
  },
  spansDropped: {
    name: 'weft_spans_dropped_total',
    type: 'counter',
    labels: [],
    help: 'Spans lost because the queue was full or the collector was away.',
  },
  accessLogDropped: {
    name: 'weft_access_log_dropped_total',
    type: 'counter',
    labels: [],
    help: 'Lines of the access log that were not written because of its rate or size limit.',
  },
  series: {
    name: 'weft_metric_series',
    type: 'gauge',
    labels: [],
    help: 'Label sets in use; at most the limit of 2000.',
  },
  overflowed: {
    name: 'weft_metric_overflow_total',
    type: 'counter',
    labels: [],
    help: 'Observations that went to a series with otel_metric_overflow="true" because the limit was reached.',
  },
  memory: {
    name: 'process_resident_memory_bytes',
    type: 'gauge',
    labels: [],
    help: 'Resident memory of the sidecar.',
  },
  cpu: {
    name: 'process_cpu_seconds_total',
    type: 'counter',
    labels: [],
    help: 'CPU time of the sidecar, user and system.',
  },
  startTime: {
    name: 'process_start_time_seconds',
    type: 'gauge',
    labels: [],
    help: 'When the sidecar was started, seconds since 1970.',
  },
  build: {
    name: 'weft_build_info',
    type: 'gauge',
    labels: ['version'],
    help: 'Always 1; the version is in the label.',
  },
} as const satisfies Record<string, Metric>
