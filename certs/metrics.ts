// What certs counts, for Prometheus, and whether it is ready. Nothing here is secret, so it is served in clear.
import { createServer, type Server } from 'node:http'
import type { Address } from '#shared/address.ts'
import { formatAddress } from '#shared/address.ts'
import type { Watch } from '#shared/watch.ts'
import type { Authority } from './authority.ts'

/** issued; refused: for a fault of the caller; unavailable: certs could not tell; failed: a fault of certs. */
export type Outcome = 'issued' | 'refused' | 'unavailable' | 'failed'

export interface Metrics {
  count(outcome: Outcome): void
  render(): string
}

export function createMetrics(authority: Watch<Authority>): Metrics {
  const counts: Record<Outcome, number> = { issued: 0, refused: 0, unavailable: 0, failed: 0 }
  return {
    count(outcome) {
      counts[outcome]++
    },
    render() {
      const requests = Object.entries(counts).map(
        ([outcome, count]) => `weft_certs_requests_total{outcome="${outcome}"} ${count}`,
      )
      const endsAt = Math.floor(authority.current.endsAt.getTime() / 1000)
      return [
        '# HELP weft_certs_requests_total Requests for a certificate, by what came of them.',
        '# TYPE weft_certs_requests_total counter',
        ...requests,
        '# HELP weft_certs_root_expiry_timestamp_seconds When the root, or the intermediate that signs, ends.',
        '# TYPE weft_certs_root_expiry_timestamp_seconds gauge',
        `weft_certs_root_expiry_timestamp_seconds ${endsAt}`,
        '',
      ].join('\n')
    },
  }
}

/** GET /metrics and GET /ready. Rejects when an address cannot be bound. */
export async function serveMetrics(addresses: readonly Address[], metrics: Metrics): Promise<() => void> {
  const servers: Server[] = []
  const close = () => {
    for (const server of servers) server.close().closeAllConnections()
  }
  try {
    for (const address of addresses) servers.push(await serve(address, metrics))
  } catch (error) {
    close()
    throw error
  }
  return close
}

function serve({ host, port }: Address, metrics: Metrics): Promise<Server> {
  const server = createServer({ headersTimeout: 5_000, requestTimeout: 5_000 }, (request, response) => {
    const page = { '/metrics': metrics.render, '/ready': () => 'ready\n' }[request.url ?? '']
    if (page === undefined || request.method !== 'GET') response.writeHead(404).end()
    else response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(page())
  })
  server.maxConnections = 64
  return new Promise((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new Error(`${formatAddress({ host, port })} cannot be bound for metrics`, { cause })),
    )
    server.listen({ host, port, ipv6Only: host !== '::' }, () => resolve(server))
  })
}
