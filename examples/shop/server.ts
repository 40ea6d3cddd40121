// What the services of the shop share: an HTTP server that speaks JSON, says what it serves, and ends on SIGTERM.
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Reply {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: unknown
}

/** Answers one request, or undefined: there is nothing at that path. */
export type Handler = (request: IncomingMessage, url: URL) => Promise<Reply | undefined>

/** Headers that a service passes on to those that it calls: of traces, and of the experiment that a caller is part of. */
const PASSED_ON = [
  'traceparent',
  'tracestate',
  'baggage',
  'b3',
  'x-b3-traceid',
  'x-b3-spanid',
  'x-b3-parentspanid',
].concat('x-b3-sampled', 'x-b3-flags', 'x-canary')

export function passOn(headers: IncomingHttpHeaders): Record<string, string> {
  const passed: Record<string, string> = {}
  for (const name of PASSED_ON) {
    const value = headers[name]
    if (typeof value === 'string') passed[name] = value
  }
  return passed
}

export function serve(name: string, handle: Handler): Server {
  const port = Number(process.env['PORT'] ?? 8080)
  const server = createServer(async (request, response) => {
    const { status = 200, headers, body } = await answer(request, handle)
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(`${JSON.stringify(body)}\n`)
    if (request.url !== '/ready') {
      console.log(`${name}: ${request.method} ${request.url} ${status} to ${request.socket.remoteAddress}`)
    }
  })
  server.listen(port, () => console.log(`${name}: serves on port ${(server.address() as AddressInfo).port}`))
  process.on('SIGTERM', () => {
    console.log(`${name}: ends`)
    server.close(() => process.exit(0))
    server.closeIdleConnections()
  })
  return server
}

async function answer(request: IncomingMessage, handle: Handler): Promise<Reply> {
  const url = new URL(request.url ?? '/', 'http://shop')
  if (url.pathname === '/ready') return { body: { ready: true } }
  try {
    return (await handle(request, url)) ?? { status: 404, body: { error: `there is nothing at ${url.pathname}` } }
  } catch (error) {
    return { status: 502, body: { error: error instanceof Error ? error.message : String(error) } }
  }
}
