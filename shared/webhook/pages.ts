// GET /metrics, /ready and /live in plain HTTP, for Prometheus and the kubelet.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface PagesOptions {
  readonly port: number
  readonly metrics: () => string
  /** False while it drains, so that the API server asks another replica. */
  readonly isReady: () => boolean
}

export interface Pages extends AsyncDisposable {
  readonly port: number
}

export async function startPages({ port, metrics, isReady }: PagesOptions): Promise<Pages> {
  const pages: Readonly<Record<string, () => readonly [status: number, body: string]>> = {
    '/metrics': () => [200, metrics()],
    '/ready': () => (isReady() ? [200, 'ready\n'] : [503, 'draining\n']),
    '/live': () => [200, 'alive\n'],
  }
  const server = createServer(
    { headersTimeout: 5000, requestTimeout: 5000, maxHeaderSize: 8192 },
    (request, response) => {
      request.resume()
      const [path = ''] = (request.url ?? '').split('?', 1)
      const page = Object.hasOwn(pages, path) ? pages[path] : undefined
      const [status, body] = page?.() ?? [404, `there are: ${Object.keys(pages).join(', ')}\n`]
      response.writeHead(status, {
        'content-type': 'text/plain; version=0.0.4; charset=utf-8',
        'cache-control': 'no-store',
      })
      response.end(body)
    },
  )
  server.maxConnections = 64
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port }, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
