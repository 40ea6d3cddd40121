// Every setting of certs with default and unit. main.ts hands in process.env, nobody else reads that.
import { type Address, parseAddress } from '#shared/address.ts'
import { milliseconds, oneOf, readSettings, type Setting, type SettingsOf, text } from '#shared/settings.ts'

const listen: Setting<readonly Address[]> = {
  variable: 'WEFT_LISTEN',
  fallback: '127.0.0.1:15012,[::1]:15012',
  want: 'addresses with ports parted by commas, such as 10.77.0.1:15012,[fd77::1]:15012',
  about: 'Where to serve the signing call.',
  parse(text) {
    try {
      return text.split(',').map((part) => parseAddress(part.trim()))
    } catch {
      return undefined
    }
  },
}

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
  listen,
  stateDir: text('WEFT_STATE_DIR', '/var/lib/weft', 'Where root.key and root.pem are kept for good.'),
  bundleFile: text('WEFT_BUNDLE_FILE', '/run/weft/bundle.pem', 'Where the trust bundle is published, PEM.'),
  tokensFile: text(
    'WEFT_TOKENS_FILE',
    '/run/weft/tokens.json',
    'The hashes of the tokens; read again when it changes.',
  ),
  svidLifetimeMs,
  drainTimeoutMs: milliseconds('WEFT_DRAIN_TIMEOUT', '5s', 'How long calls may still run after SIGTERM.'),
  logLevel: oneOf('trace', 'debug', 'info', 'warn', 'error', 'silent')('WEFT_LOG_LEVEL', 'info', 'Level of the log.'),
}

export type CertsConfig = SettingsOf<typeof SETTINGS>

export function readCertsConfig(environment: NodeJS.ProcessEnv): CertsConfig {
  return readSettings(SETTINGS, environment)
}
