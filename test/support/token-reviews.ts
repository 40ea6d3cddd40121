// A fake API server that also answers TokenReviews: what it says of each token is told beforehand.
import { once } from 'node:events'
import { createServer, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { KubeConnection } from '#shared/kube/config.ts'
import type { KubeKind } from '#shared/kube/objects.ts'
import { type FakeApiServer, startFakeApiServer } from './fake-api-server.ts'

export interface TokenApiServer extends AsyncDisposable {
  readonly api: FakeApiServer
  readonly connection: KubeConnection
  /** The audiences and tokens of all reviews so far. */
  readonly reviews: readonly { readonly token: string; readonly audiences: readonly string[] }[]
  /** The status that a review of the token gets; an unknown token is not authenticated. */
  vouch(token: string, status: object): void
  /** While set, every review is answered with this HTTP status; null: as usual. */
  failWith(status: number | null): void
}

const PATH = '/apis/authentication.k8s.io/v1/tokenreviews'

export async function startTokenApiServer(...kinds: readonly KubeKind[]): Promise<TokenApiServer> {
  const api = await startFakeApiServer(...kinds)
  const known = new Map<string, object>()
  const reviews: { token: string; audiences: readonly string[] }[] = []
  let failure: number | null = null
  const server = createServer(async (incoming, response) => {
    if (incoming.url !== PATH) {
      const { method, headers, url: path } = incoming
      const onwards = request(api.connection.server, { ...(method !== undefined && { method }), path, headers })
      onwards.on('response', (answer: IncomingMessage) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers)
        answer.pipe(response)
      })
      onwards.on('error', () => response.destroy())
      incoming.pipe(onwards)
      return
    }
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk)
    const { spec } = JSON.parse(Buffer.concat(chunks).toString()) as { spec: (typeof reviews)[number] }
    reviews.push(spec)
    const status = known.get(spec.token) ?? { authenticated: false, error: 'invalid bearer token' }
    const body = failure === null ? { kind: 'TokenReview', status } : { kind: 'Status', message: 'told to' }
    response.writeHead(failure ?? 201, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    api,
    connection: { ...api.connection, server: new URL(`http://127.0.0.1:${port}`) },
    reviews,
    vouch: (token, status) => known.set(token, status),
    failWith(status) {
      failure = status
    },
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await api[Symbol.asyncDispose]()
    },
  }
}
