// Every setting of certs with default and unit. main.ts hands in process.env, nobody else reads that.

import { TOKEN_AUDIENCE } from '#shared/identity/kubernetes.ts'
import { API_SERVER_SETTINGS } from '#shared/kube/connect.ts'
import {
  addresses,
  flag,
  LOG_LEVEL,
  milliseconds,
  oneOf,
  readSettings,
  type Setting,
  type SettingsOf,
  text,
} from '#shared/settings.ts'

const SHORTEST_LIFETIME_MS = 30_000
const anyDuration = milliseconds('WEFT_SVID_LIFETIME', '24h', 'How long a certificate is good.')
const svidLifetimeMs: Setting<number> = {
  ...anyDuration,
  want: 'a duration of 30s or more, such as 24h',
  parse(text) {
    const lifetimeMs = anyDuration.parse(text)
    return lifetimeMs !== undefined && lifetimeMs >= SHORTEST_LIFETIME_MS ? lifetimeMs : undefined
  },
}

export const SETTINGS = {
  trustDomain: text('WEFT_TRUST_DOMAIN', 'weft.local', 'Trust domain of the mesh.'),
  systemNamespace: text(
    'WEFT_SYSTEM_NAMESPACE',
    'weft-system',
    'Where Weft itself is: part of the identities of certs and control.',
  ),
  listen: addresses('WEFT_LISTEN', '127.0.0.1:15012,[::1]:15012', 'Where to serve the signing call.'),
  metricsListen: addresses('WEFT_METRICS_LISTEN', '', 'Where to serve /metrics, /ready and /live; empty: nowhere.'),
  attest: oneOf('tokens', 'kubernetes')(
    'WEFT_ATTEST',
    'tokens',
    'Who vouches for tokens: a file, or the API server. With the latter the root is in a Secret and the bundle in ConfigMaps.',
  ),
  stateDir: text('WEFT_STATE_DIR', '/var/lib/weft', 'tokens: where root.key and root.pem are kept for good.'),
  bundleFile: text('WEFT_BUNDLE_FILE', '/run/weft/bundle.pem', 'tokens: where the trust bundle is published, PEM.'),
  tokensFile: text(
    'WEFT_TOKENS_FILE',
    '/run/weft/tokens.json',
    'tokens: the hashes of the tokens; read again when it changes.',
  ),
  rootSecret: text(
    'WEFT_ROOT_SECRET',
    'weft-root',
    'kubernetes: the Secret (kubernetes.io/tls) of the root; made where there is none.',
  ),
  keepRoot: flag(
    'WEFT_KEEP_ROOT',
    'false',
    'kubernetes: whether a root that is made here outlives an uninstallation of Weft.',
  ),
  rootFrom: oneOf('made', 'given')(
    'WEFT_ROOT_FROM',
    'made',
    'kubernetes: whether a root is made where there is none, or somebody else makes it (cert-manager).',
  ),
  tokenAudience: text('WEFT_TOKEN_AUDIENCE', TOKEN_AUDIENCE, 'kubernetes: the audience that a token must be for.'),
  kubeconfig: text('WEFT_KUBECONFIG', '', 'kubernetes: a kubeconfig; empty: the service account of this pod.'),
  ...API_SERVER_SETTINGS,
  svidLifetimeMs,
  drainTimeoutMs: milliseconds('WEFT_DRAIN_TIMEOUT', '5s', 'How long calls may still run after SIGTERM.'),
  logLevel: LOG_LEVEL,
}

export type CertsConfig = SettingsOf<typeof SETTINGS>

export function readCertsConfig(environment: NodeJS.ProcessEnv): CertsConfig {
  return readSettings(SETTINGS, environment)
}
