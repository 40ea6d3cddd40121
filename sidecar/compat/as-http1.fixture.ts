// The Compat engine in the place of our own codec: the vitest project `compat` runs the tests of http1/ with it.
import type { Duplex } from 'node:stream'
import type { HttpServerConnection, HttpServerOptions } from '#flow/stream.ts'
import { connectCompat } from './http1-client.ts'
import { createCompatServer } from './http1-server.ts'

const server = createCompatServer()

export const serveHttp1 = (stream: Duplex, head: Uint8Array | null, options: HttpServerOptions): HttpServerConnection =>
  server.serve(stream, head, options)
export const connectHttp1 = connectCompat
