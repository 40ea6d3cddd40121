// GET /metrics, /ready and /live in plain HTTP, for Prometheus and the kubelet. Nothing there is secret.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Address, formatAddress } from './address.ts'

export interface PagesOptions {
  readonly metrics: () => string
  /** False while it drains, so that others are asked. */
  readonly isReady: () => boolean
}

export interface Pages extends AsyncDisposable {
  /** As bound, in the order that was asked for. */
  readonly ports: readonly number[]
}

/** Rejects when an address cannot be bound; nothing listens then. Port 0 takes any. */
export async function startPages(addresses: readonly Address[], options: PagesOptions): Promise<Pages> {
  const servers: Server[] = []
  const close = () => Promise.all(servers.map(end))
  try {
    for (const address of addresses) servers.push(await serve(address, options))
  } catch (error) {
    await close()
    throw error
  }
  return {
    ports: servers.map((server) => (server.address() as AddressInfo).port),
    async [Symbol.asyncDispose]() {
      await close()
    },
  }
}

function serve({ host, port }: Address, { metrics, isReady }: PagesOptions): Promise<Server> {
  const pages: Readonly<Record<string, () => readonly [status: number, body: string]>> = {
    '/metrics': () => [200, metrics()],
    '/ready': () => (isReady() ? [200, 'ready\n'] : [503, 'not ready\n']),
    '/live': () => [200, 'alive\n'],
  }
  const limits = { headersTimeout: 5000, requestTimeout: 5000, maxHeaderSize: 8192 }
  const server = createServer(limits, (request, response) => {
    request.resume()
    const [path = ''] = (request.url ?? '').split('?', 1)
    const page = request.method === 'GET' && Object.hasOwn(pages, path) ? pages[path] : undefined
    const [status, body] = page?.() ?? [404, `there are: GET ${Object.keys(pages).join(', ')}\n`]
    const headers = { 'content-type': 'text/plain; version=0.0.4; charset=utf-8', 'cache-control': 'no-store' }
    response.writeHead(status, headers).end(body)
  })
  server.maxConnections = 64
  return new Promise((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new Error(`${formatAddress({ host, port })} cannot be bound for metrics`, { cause })),
    )
    // [::] is every address of both families; where there is no IPv6, those of the other.
    const where = host === '::' ? {} : { host, ipv6Only: true }
    server.listen({ port, ...where }, () => resolve(server))
  })
}

function end(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
