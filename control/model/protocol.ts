// What a port speaks: appProtocol, else the prefix of its name, else the ports whose servers speak first, else it is detected.

export type Protocol = 'http' | 'opaque' | 'detect'

/** Servers of these speak first, so that waiting for a client's first bytes would hang. The list is Linkerd's. */
const SERVER_FIRST = new Set([25, 587, 3306, 4444, 5432, 6379, 9300, 11211])

// HTTP/2 (h2c, grpc) is relayed as bytes until its codec lands; TLS of the application always is.
const HTTP = new Set(['http', 'ws', 'kubernetes.io/ws'])
const OPAQUE_PREFIXES = new Set([
  'grpc',
  'h2c',
  'http2',
  'https',
  'mongo',
  'mysql',
  'postgres',
  'redis',
  'tcp',
  'tls',
  'wss',
])

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
  // Whoever names another protocol says that it is not HTTP/1.1.
  if (port.appProtocol !== undefined) return HTTP.has(port.appProtocol.toLowerCase()) ? 'http' : 'opaque'
  const prefix = port.name?.split('-', 1)[0] ?? ''
  if (HTTP.has(prefix)) return 'http'
  return OPAQUE_PREFIXES.has(prefix) ? 'opaque' : undefined
}
