// The names that injection puts into pods, known to the webhook, the command line, charts and tests.

export const INJECT_LABEL = 'weft.dev/inject'
export const STATUS_ANNOTATION = 'weft.dev/status'
export const INIT_CONTAINER = 'weft-init'
export const PROXY_CONTAINER = 'weft-proxy'
/** User and group of the sidecar, which iptables leaves alone. */
export const SIDECAR_ID = 1337

export const PORTS = {
  admin: 15000,
  outbound: 15001,
  inbound: 15006,
  metrics: 15020,
  health: 15021,
} as const

export const VOLUMES = { token: 'weft-token', bundle: 'weft-bundle', state: 'weft-state' } as const

export function isOwnVolume(name: string): boolean {
  return Object.values<string>(VOLUMES).includes(name)
}
