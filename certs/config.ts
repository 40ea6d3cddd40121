// Every setting of certs with default and unit. main.ts hands in process.env, nobody else reads that.
import { list, milliseconds, oneOf, port, readSettings, type SettingsOf, text } from '#shared/settings.ts'

export const SETTINGS = {
  trustDomain: text('WEFT_TRUST_DOMAIN', 'weft.local', 'Trust domain of the mesh.'),
  listen: list('WEFT_LISTEN', '127.0.0.1,::1', 'IP addresses to listen on, parted by commas.'),
  port: port('WEFT_PORT', '15012', 'Port of the signing service on each address.'),
  stateDir: text('WEFT_STATE_DIR', '/var/lib/weft', 'Where root.key and root.pem are kept for good.'),
  bundleFile: text('WEFT_BUNDLE_FILE', '/run/weft/bundle.pem', 'Where the trust bundle is published, PEM.'),
  tokensFile: text(
    'WEFT_TOKENS_FILE',
    '/run/weft/tokens.json',
    'The hashes of the tokens; read again when it changes.',
  ),
  svidLifetimeMs: milliseconds('WEFT_SVID_LIFETIME', '24h', 'How long a certificate is good; at least 30s.'),
  drainTimeoutMs: milliseconds('WEFT_DRAIN_TIMEOUT', '5s', 'How long calls may still run after SIGTERM.'),
  logLevel: oneOf('trace', 'debug', 'info', 'warn', 'error', 'silent')('WEFT_LOG_LEVEL', 'info', 'Level of the log.'),
}

export type CertsConfig = SettingsOf<typeof SETTINGS>

export function readCertsConfig(environment: NodeJS.ProcessEnv): CertsConfig {
  return readSettings(SETTINGS, environment)
}
