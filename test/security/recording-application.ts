// An application that keeps every byte that reaches it, connection by connection, and judges them with readers of its own. It answers
// each request that it has read whole, and nothing else.
import { once } from 'node:events'
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { portOf } from '../support/pair.ts'
import { judgeFrames } from './frame-judge.ts'
import { type ReadRequest, readStrictly } from './strict-reader.ts'

export interface Recording extends AsyncDisposable {
  readonly port: number
  /** Read whole since the last forget(), in the order in which they became so. */
  readonly requests: readonly Pick<ReadRequest, 'method' | 'target' | 'body'>[]
  forget(): void
  /** What must not have reached it, of all connections so far: what breaks the rules, and what was left over on one that lives. */
  faults(): string[]
}

/** Text is Latin-1: a character a byte. */
interface Connection {
  text: string
  isClosed: boolean
}

interface Listening {
  readonly server: Server
  readonly sockets: Set<Socket>
}

async function listen(onSocket: (socket: Socket) => void): Promise<Listening> {
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    onSocket(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, sockets }
}

function close({ server, sockets }: Listening): Promise<void> {
  for (const socket of sockets) socket.destroy()
  return new Promise((resolve) => server.close(() => resolve()))
}

/** Of HTTP/1.1. */
export async function recordHttp1(): Promise<Recording> {
  const connections: Connection[] = []
  const requests: ReadRequest[] = []
  const listening = await listen((socket) => {
    const connection: Connection = { text: '', isClosed: false }
    connections.push(connection)
    let answered = 0
    socket.on('close', () => {
      connection.isClosed = true
    })
    socket.on('data', (chunk: Buffer) => {
      connection.text += chunk.toString('latin1')
      const { requests: read, fault } = readStrictly(connection.text)
      for (const request of read.slice(answered)) {
        requests.push(request)
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n${request.method === 'HEAD' ? '' : 'ok'}`)
      }
      answered = read.length
      if (fault !== null) socket.destroy()
    })
  })
  const faultOf = ({ text, isClosed }: Connection): string | null => {
    const { rest, fault } = readStrictly(text)
    if (fault === null && (rest === '' || isClosed)) return null
    return `${fault ?? 'left over on a connection that lives'}: ${JSON.stringify(rest.slice(0, 400))}`
  }
  return {
    port: portOf(listening.server),
    requests,
    forget() {
      requests.length = 0
    },
    faults: () => connections.map(faultOf).filter((fault) => fault !== null),
    [Symbol.asyncDispose]: () => close(listening),
  }
}

/** Of HTTP/2 with prior knowledge. What heads mean is nghttp2's to say, behind a wire on which the frames are kept. */
export async function recordHttp2(): Promise<Recording> {
  const connections: { readonly chunks: Buffer[]; readonly far: Socket; farPort: number }[] = []
  const requests: Recording['requests'][number][] = []
  const inner = createHttp2Server()
  inner.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => {})
    const chunks: Buffer[] = []
    const isWhole = () => !stream.destroyed && stream.rstCode === 0 && !stream.aborted
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('end', () => {
      if (!isWhole()) return
      const body = Buffer.concat(chunks).toString('latin1')
      requests.push({ method: headers[':method'] ?? '', target: headers[':path'] ?? '', body })
      stream.respond({ ':status': 200 })
      stream.end('ok')
    })
  })
  const faults = new Map<number, string>()
  inner.on('session', (session) => {
    const { remotePort = 0 } = session.socket
    session.on('error', (error: Error) => faults.set(remotePort, `nghttp2: ${error.message}`))
  })
  inner.listen(0, '127.0.0.1')
  await once(inner, 'listening')
  const port = portOf(inner)
  const listening = await listen((socket) => {
    const far = connect({ port, host: '127.0.0.1', noDelay: true })
    const connection = { chunks: [] as Buffer[], far, farPort: 0 }
    connections.push(connection)
    socket.on('data', (chunk: Buffer) => connection.chunks.push(chunk))
    far.on('connect', () => {
      connection.farPort = far.localPort ?? 0
    })
    far.on('error', () => socket.destroy()).on('close', () => socket.destroy())
    socket.on('close', () => far.destroy())
    socket.pipe(far)
    far.pipe(socket)
  })
  return {
    port: portOf(listening.server),
    requests,
    forget() {
      requests.length = 0
    },
    faults: () =>
      connections.flatMap(({ chunks, farPort }) => {
        const bytes = Buffer.concat(chunks)
        if (isUpgrade(bytes)) return []
        return [faults.get(farPort) ?? null, judgeFrames(bytes)].filter((fault) => fault !== null)
      }),
    async [Symbol.asyncDispose]() {
      for (const { far } of connections) far.destroy()
      await close(listening)
      inner.close()
    },
  }
}

/** What may become a tunnel comes by HTTP/1.1, one request on a connection of its own; to an application of HTTP/2 it is none. */
function isUpgrade(bytes: Buffer): boolean {
  const { requests, rest } = readStrictly(bytes.toString('latin1'))
  return rest === '' && requests.length === 1 && requests[0]?.names.includes('upgrade') === true
}
