// Every setting of the sidecar with default and unit. main.ts hands in process.env, nobody else reads that.
import {
  count,
  list,
  milliseconds,
  oneOf,
  port,
  readSettings,
  type Setting,
  type SettingsOf,
  text,
} from '#shared/settings.ts'

function portAndPath(
  variable: string,
  fallback: string,
  about: string,
): Setting<{ readonly port: number; readonly path: string } | null> {
  return {
    variable,
    fallback,
    about,
    want: 'a port and a path such as 9090/metrics',
    parse(value) {
      if (value === '') return null
      const match = /^(\d{1,5})(\/[!-~]*)$/.exec(value)
      const number = port('', '', '').parse(match?.[1] ?? '')
      return number === undefined ? undefined : { port: number, path: match?.[2] ?? '/' }
    },
  }
}

export const SETTINGS = {
  podName: text('WEFT_POD_NAME', 'unknown', 'Name of this pod.'),
  podNamespace: text('WEFT_POD_NAMESPACE', 'default', 'Namespace of this pod.'),
  podAddresses: list('WEFT_POD_ADDRESSES', '', 'Addresses of this pod, one per family.'),
  meshRanges: list(
    'WEFT_MESH_RANGES',
    '',
    'CIDRs of pods and services: what control has not told of yet is not dialled in clear there.',
  ),
  serviceAccount: text('WEFT_SERVICE_ACCOUNT', 'default', 'Service account that the identity is made of.'),
  trustDomain: text('WEFT_TRUST_DOMAIN', 'weft.local', 'Trust domain of the mesh.'),
  systemNamespace: text(
    'WEFT_SYSTEM_NAMESPACE',
    'weft-system',
    'Where Weft itself is: part of the identities of certs and control.',
  ),
  controlAddress: text('WEFT_CONTROL_ADDRESS', '127.0.0.1:15010', 'Where control serves discovery.'),
  certsAddress: text('WEFT_CERTS_ADDRESS', '127.0.0.1:15012', 'Where the certificate authority signs.'),
  bundleFile: text('WEFT_BUNDLE_FILE', '/run/weft/bundle.pem', 'The trust bundle, PEM; read again when it changes.'),
  tokenFile: text('WEFT_TOKEN_FILE', '/run/weft/token', 'The token that proves this workload to the authority.'),
  stateDir: text(
    'WEFT_STATE_DIR',
    '/run/weft/state',
    'Where key, certificate and snapshot rest (memory-backed, 0700).',
  ),
  outboundPort: port('WEFT_OUTBOUND_PORT', '15001', 'Where iptables sends what the application opens.'),
  inboundPort: port('WEFT_INBOUND_PORT', '15006', 'Where iptables sends what reaches the pod.'),
  metricsPort: port('WEFT_METRICS_PORT', '15020', 'Prometheus metrics.'),
  healthPort: port('WEFT_HEALTH_PORT', '15021', 'Readiness, and the probes of the application.'),
  adminPort: port('WEFT_ADMIN_PORT', '15000', 'Admin, on loopback only.'),
  adminSocket: text('WEFT_ADMIN_SOCKET', '', 'A Unix socket for admin besides; empty: none.'),
  probes: text('WEFT_PROBES', '{}', 'The probes of the application, JSON as in a pod template.'),
  applicationMetrics: portAndPath(
    'WEFT_APPLICATION_METRICS',
    '',
    "Where the application shows Prometheus metrics, shown beside the sidecar's own; empty: nowhere.",
  ),
  runAs: count('WEFT_RUN_AS', '0', 'The uid and gid to drop to after the start as root; 0: stay.'),
  // Server-speaks-first protocols wait this long for nothing, so keep it short.
  silenceMs: milliseconds('WEFT_SILENCE', '20ms', 'Silence of a client after which the server may speak first.'),
  detectTimeoutMs: milliseconds('WEFT_DETECT_TIMEOUT', '200ms', 'The same where a route could change the destination.'),
  drainTimeoutMs: milliseconds('WEFT_DRAIN_TIMEOUT', '30s', 'How long a drain waits for what is in flight.'),
  drainQuietMs: milliseconds(
    'WEFT_DRAIN_QUIET',
    '500ms',
    'How long nothing may have come in before a drain is over: callers that have not heard of it still come.',
  ),
  applicationIdleMs: milliseconds(
    'WEFT_APPLICATION_IDLE',
    '4s',
    "How long an idle connection to the application is kept: below the 5 s after which Node's servers close theirs.",
  ),
  peerIdleMs: milliseconds('WEFT_PEER_IDLE', '90s', 'How long an idle connection to another sidecar is kept.'),
  peerConnections: count(
    'WEFT_PEER_CONNECTIONS',
    '4',
    'Connections to one other sidecar that long bodies may lead to; 1: they share the one of all requests.',
  ),
  logLevel: oneOf('trace', 'debug', 'info', 'warn', 'error', 'silent')('WEFT_LOG_LEVEL', 'info', 'Level of the log.'),
  resourceAttributes: text('OTEL_RESOURCE_ATTRIBUTES', '', 'Further attributes of spans, key=value parted by commas.'),
  serviceName: text('OTEL_SERVICE_NAME', '', 'Name in traces; empty: the name of the workload.'),
}

export type SidecarConfig = SettingsOf<typeof SETTINGS>

export function readSidecarConfig(environment: NodeJS.ProcessEnv): SidecarConfig {
  return readSettings(SETTINGS, environment)
}
