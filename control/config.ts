// Every setting of control with default and unit. main.ts hands in process.env, nobody else reads that.
import { API_SERVER_SETTINGS } from '#shared/kube/connect.ts'
import { MESH_NAMESPACE } from '#shared/resources/mesh-policy.ts'
import {
  addresses,
  flag,
  LOG_LEVEL,
  list,
  milliseconds,
  oneOf,
  readSettings,
  type SettingsOf,
  text,
} from '#shared/settings.ts'
import { CERTIFICATE_SETTINGS } from '#shared/webhook/open-certificate.ts'

export const SETTINGS = {
  source: oneOf('files', 'kubernetes')('WEFT_SOURCE', 'files', 'Where the configuration of the mesh comes from.'),
  kubeconfig: text(
    'KUBECONFIG',
    '',
    'A kubeconfig, whose current context is taken; empty: the service account of this pod. Only with `WEFT_SOURCE=kubernetes`, as all settings down to `WEFT_POD_NAME`.',
  ),
  ...API_SERVER_SETTINGS,
  systemNamespace: text(
    'WEFT_SYSTEM_NAMESPACE',
    MESH_NAMESPACE,
    'Where Weft itself is: part of the identities of certs and control. Its Lease is there, and MeshPolicies for the whole mesh.',
  ),
  controlService: text(
    'WEFT_CONTROL_SERVICE',
    'weft-control',
    'The Service of control there; sidecars send their spans to it.',
  ),
  replica: text('WEFT_POD_NAME', '', "What this replica calls itself; empty: the host's name, which is its pod's."),
  podAddresses: list(
    'WEFT_POD_ADDRESSES',
    '',
    'Addresses of this pod, at the first of which the other replicas reach it; empty: where it listens.',
  ),
  validate: flag(
    'WEFT_VALIDATE',
    'false',
    'Whether to serve the webhook that checks routes and policies before they are stored. Only with `WEFT_SOURCE=kubernetes`, as all settings down to `WEFT_WEBHOOK_CONFIGURATION`.',
  ),
  ...CERTIFICATE_SETTINGS,
  webhookConfiguration: text(
    'WEFT_WEBHOOK_CONFIGURATION',
    'weft-control',
    'The ValidatingWebhookConfiguration whose caBundle is kept true to the certificate in the Secret.',
  ),
  trustDomain: text('WEFT_TRUST_DOMAIN', 'weft.local', 'Trust domain of the mesh.'),
  listen: addresses('WEFT_LISTEN', '127.0.0.1:15010', 'Where to serve discovery (gRPC with mutual TLS).'),
  otlpGrpcListen: addresses('WEFT_OTLP_GRPC_LISTEN', '127.0.0.1:4317', 'Where spans come in by gRPC; empty: nowhere.'),
  otlpHttpListen: addresses('WEFT_OTLP_HTTP_LISTEN', '127.0.0.1:4318', 'Where spans come in by HTTP; empty: nowhere.'),
  metricsListen: addresses('WEFT_METRICS_LISTEN', '', 'Where to serve /metrics, /ready and /live; empty: nowhere.'),
  socket: text('WEFT_SOCKET', '/run/weft/control.sock', 'The Unix socket of the local API, for its owner alone.'),
  configFiles: list(
    'WEFT_CONFIG_FILES',
    '/run/weft/mesh.yaml,/run/weft/applied.yaml',
    'YAML files, later ones over earlier ones; `weft apply` writes the last.',
  ),
  worldFile: text(
    'WEFT_WORLD_FILE',
    '/run/weft/world.json',
    'The pods and addresses of the mesh, as `weft up` writes them.',
  ),
  certsAddress: text('WEFT_CERTS_ADDRESS', '127.0.0.1:15012', 'Where the certificate authority signs.'),
  bundleFile: text('WEFT_BUNDLE_FILE', '/run/weft/bundle.pem', 'The trust bundle, PEM; read again when it changes.'),
  tokenFile: text('WEFT_TOKEN_FILE', '/run/weft/token', 'The token that proves control to the authority.'),
  stateDir: text('WEFT_STATE_DIR', '/run/weft/control', 'Where key and certificate rest between restarts (0700).'),
  drainTimeoutMs: milliseconds(
    'WEFT_DRAIN_TIMEOUT',
    '0s',
    'How long sidecars get at SIGTERM to go to another replica, spread over that time.',
  ),
  logLevel: LOG_LEVEL,
}

export type ControlConfig = SettingsOf<typeof SETTINGS>

export function readControlConfig(environment: NodeJS.ProcessEnv): ControlConfig {
  return readSettings(SETTINGS, environment)
}
