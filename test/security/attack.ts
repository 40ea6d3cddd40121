// Verbs of an attacker: raw bytes to and from both ends of a pair of sidecars, and a peer with a certificate of its own.
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import type { SvidIdentity } from '#shared/identity/svid.ts'
import { MESH_TLS } from '#shared/identity/tls-settings.ts'
import type { MeshAlpn } from '../../sidecar/secure/mesh-alpn.ts'
import { type Pair, type PairOptions, portOf, startPair } from '../support/pair.ts'

const toClose: { destroy(): void }[] = []
const servers: Server[] = []
const pairs: Pair[] = []

/** After each test. */
export async function closeAll(): Promise<void> {
  for (const pair of pairs.splice(0)) await pair[Symbol.asyncDispose]()
  for (const stream of toClose.splice(0)) stream.destroy()
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))))
}

export async function pairFor(options: PairOptions): Promise<Pair> {
  const pair = await startPair(options)
  pairs.push(pair)
  return pair
}

/** An application that answers each piece of bytes as it pleases. `connection` counts from 1. */
export async function applicationThat(
  answer: (socket: Socket, bytes: string, connection: number) => void,
  greet: (socket: Socket) => void = () => {},
): Promise<number> {
  let count = 0
  const server = createServer((socket) => {
    const connection = ++count
    toClose.push(socket)
    socket.on('error', () => {})
    greet(socket)
    socket.on('data', (chunk) => answer(socket, chunk.toString('latin1'), connection))
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return portOf(server)
}

export function dial(port: number): Socket {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
  socket.on('error', () => {})
  toClose.push(socket)
  return socket
}

/** A peer that speaks the mesh's TLS with tools of its own. */
export function dialAs({ chain, key, roots }: SvidIdentity, port: number, alpn: MeshAlpn): Duplex {
  const pem = key.export({ type: 'pkcs8', format: 'pem' })
  const tls = { ...MESH_TLS, cert: chain, key: pem, ca: roots, ALPNProtocols: [alpn] }
  const socket = connectTls({ ...tls, port, host: '127.0.0.1', checkServerIdentity: () => undefined })
  socket.on('error', () => {})
  toClose.push(socket)
  return socket
}

/** Everything that comes until `isEnough` of it is there, or the connection ends. */
export function heard(stream: Duplex, isEnough: (text: string) => boolean = () => false): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    const done = () => resolve(text)
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      if (isEnough(text)) done()
    })
    stream.on('end', done).on('close', done)
  })
}

/** One request on a connection of its own; resolves with all that came. */
export async function ask(port: number, path = '/'): Promise<string> {
  const socket = dial(port)
  socket.write(`GET ${path} HTTP/1.1\r\nHost: catalog\r\nConnection: close\r\n\r\n`)
  return heard(socket)
}

export const statusOf = (response: string): number => Number(response.slice(9, 12))
