// A sidecar that dials and one that accepts, with TCP between them, for the tests of sidecar/secure.
import { once } from 'node:events'
import { connect as connectTcp, createServer, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { expect } from 'vitest'
import { FlowError } from '#flow/error.ts'
import type { Identity } from '#flow/identity.ts'
import { parseSpiffeId } from '#shared/identity/spiffe-id.ts'
import { Watched } from '#shared/watch.ts'
import type { MeshAlpn } from '../../sidecar/secure/mesh-alpn.ts'
import { createOriginator, type Originator } from '../../sidecar/secure/originate.ts'
import { SessionCache } from '../../sidecar/secure/session-cache.ts'
import { createTerminator, type Terminated, type Terminator } from '../../sidecar/secure/terminate.ts'
import { makeAuthority, type TestAuthority } from './authority.ts'

export const WEB = parseSpiffeId('spiffe://weft.local/ns/shop/sa/web')
export const CATALOG = parseSpiffeId('spiffe://weft.local/ns/shop/sa/catalog')
export const NOTHING = Buffer.alloc(0)
export const never = new AbortController().signal

export const authority: TestAuthority = await makeAuthority()
export const other: TestAuthority = await makeAuthority('another root')

export const toClose: { destroy(): void }[] = []
export const servers: Server[] = []
/** After each test. */
export async function closeAll(): Promise<void> {
  for (const item of toClose.splice(0)) item.destroy()
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))))
}

/** Where accepted sockets wait for a test to take them, in order. */
export async function listening(): Promise<{ dial(): Promise<Socket>; accepted(): Promise<Socket>; port: number }> {
  const waiting: Socket[] = []
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    socket.on('error', () => {})
    toClose.push(socket)
    waiting.push(socket)
    server.emit('waiting')
  })
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  return {
    port,
    async dial() {
      const socket = connectTcp({ host: '127.0.0.1', port, allowHalfOpen: true })
      socket.on('error', () => {})
      toClose.push(socket)
      await once(socket, 'connect')
      return socket
    },
    async accepted() {
      while (waiting[0] === undefined) await once(server, 'waiting')
      return waiting.shift() as Socket
    },
  }
}

export interface Ends {
  readonly client: TLSSocket
  readonly server: Terminated
}

export interface Sidecars {
  readonly originate: Originator
  readonly terminate: Terminator
  readonly client: Watched<Identity | undefined>
  readonly server: Watched<Identity | undefined>
  readonly sessions: SessionCache
  joined(expected?: typeof CATALOG, alpn?: MeshAlpn): Promise<Ends>
}

export interface Given {
  readonly client?: Identity
  readonly server?: Identity
}

/** A sidecar of web that dials, a sidecar of catalog that accepts, and TCP between them. */
export async function sidecars(given: Given = {}): Promise<Sidecars> {
  const client = new Watched<Identity | undefined>(given.client ?? (await authority.identity(WEB)))
  const server = new Watched<Identity | undefined>(given.server ?? (await authority.identity(CATALOG)))
  const sessions = new SessionCache()
  const originate = createOriginator({ identity: client, sessions })
  const terminate = createTerminator({ identity: server, trustDomain: 'weft.local' })
  const wire = await listening()
  return {
    originate,
    terminate,
    client,
    server,
    sessions,
    async joined(expected = CATALOG, alpn = 'weft/tcp') {
      const socket = await wire.dial()
      const ending = wire.accepted().then((accepted) => terminate(accepted, NOTHING, never))
      ending.catch(() => {})
      const { stream: secured } = await originate(socket, expected, alpn, never)
      toClose.push(secured)
      return { client: secured, server: await ending }
    },
  }
}

/** Up to the end of that half; the stream stays open. */
export async function textOf(stream: Duplex): Promise<string> {
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  await once(stream, 'end')
  return Buffer.concat(chunks).toString()
}

async function word(stream: Duplex): Promise<string> {
  const [chunk] = (await once(stream, 'data')) as [Buffer]
  return chunk.toString()
}

/** The code of a FlowError and the text of what caused it. */
export async function faultOf(promise: Promise<unknown>): Promise<{ code: string; cause: string }> {
  const error = await promise.then(
    () => new Error('it was let in'),
    (reason: unknown) => reason,
  )
  if (!(error instanceof FlowError)) throw error
  return { code: error.code, cause: String(error.cause) }
}

const talked = new WeakSet<TLSSocket>()

/** Speaks first one way, then the other; the ticket of TLS 1.3 arrives with the answer. */
export async function talk({ client, server }: Ends): Promise<void> {
  const hasTicket = client.getTLSTicket() !== undefined
  const session = client.isSessionReused() || talked.has(client) || hasTicket ? undefined : once(client, 'session')
  talked.add(client)
  const heard = word(server.stream)
  client.write('ping')
  expect(await heard).toBe('ping')
  const answered = word(client)
  server.stream.write('pong')
  expect(await answered).toBe('pong')
  await session
}
