// What a port speaks: appProtocol, else the prefix of its name, else the ports whose servers speak first, else it is detected.

import type { HttpVersion } from '#shared/decide/config.ts'

export type Protocol = 'http' | 'opaque' | 'detect'

/** Servers of these speak first, so that waiting for a client's first bytes would hang. The list is Linkerd's. */
const SERVER_FIRST = new Set([25, 587, 3306, 4444, 5432, 6379, 9300, 11211])

/** Version of HTTP that is spoken to the application whatever the caller speaks; any: the caller's own. */
const HTTP: ReadonlyMap<string, HttpVersion | 'any'> = new Map([
  ['http', 'any'],
  ['grpc-web', 'any'],
  ['ws', '1.1'],
  ['kubernetes.io/ws', '1.1'],
  ['weft.dev/http1', '1.1'],
  ['grpc', '2'],
  ['h2c', '2'],
  ['http2', '2'],
  ['kubernetes.io/h2c', '2'],
])
const OPAQUE_PREFIXES = new Set(['https', 'mongo', 'mysql', 'postgres', 'redis', 'tcp', 'tls', 'wss'])

export interface DeclaredPort {
  readonly name?: string | undefined
  readonly appProtocol?: string | undefined
}

/** `numbers`: the port as dialled and as listened on, where they differ. */
export function protocolOf(port: DeclaredPort, numbers: readonly number[]): Protocol {
  return declaredProtocol(port) ?? (numbers.some((number) => SERVER_FIRST.has(number)) ? 'opaque' : 'detect')
}

/** Undefined where neither appProtocol nor the name says anything. */
export function declaredProtocol(port: DeclaredPort): Protocol | undefined {
  const declared = declaredName(port)
  if (HTTP.has(declared)) return 'http'
  // Whoever names another protocol says that it is not HTTP.
  return port.appProtocol !== undefined || OPAQUE_PREFIXES.has(declared) ? 'opaque' : undefined
}

/** Undefined where the caller's own version is spoken. */
export function declaredHttpVersion(port: DeclaredPort): HttpVersion | undefined {
  const version = HTTP.get(declaredName(port))
  return version === 'any' ? undefined : version
}

function declaredName({ appProtocol, name = '' }: DeclaredPort): string {
  if (appProtocol !== undefined) return appProtocol.toLowerCase()
  return /^grpc-web(-|$)/.test(name) ? 'grpc-web' : (name.split('-', 1)[0] ?? '')
}
