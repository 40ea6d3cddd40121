// What tests of HTTP/2 through two sidecars make; all of it goes away after each test.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach } from 'vitest'
import { type Answerer, connectHttp2To, type Http2App, type Http2Client, startHttp2App } from './http2.ts'
import { type Pair, type PairOptions, startPair } from './pair.ts'

const toClose: AsyncDisposable[] = []
afterEach(async () => {
  for (const each of toClose.splice(0).reverse()) await each[Symbol.asyncDispose]()
})

export async function kept<T extends AsyncDisposable>(made: Promise<T>): Promise<T> {
  return closeAfterTest(await made)
}

export function closeAfterTest<T extends AsyncDisposable>(each: T): T {
  toClose.push(each)
  return each
}

export const http2App = (answer: Answerer, settings?: object): Promise<Http2App> =>
  kept(startHttp2App(answer, settings))
export const pairFor = (options: PairOptions): Promise<Pair> => kept(startPair(options))
export const clientOf = ({ port }: Pair): Promise<Http2Client> => kept(connectHttp2To(port))

export async function http1App(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<number> {
  const server = createServer(answer)
  toClose.push({
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
    },
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

/** Connections between the sidecars. */
export const shared = ({ client }: Pair) => client.upstreams.stats().shared
