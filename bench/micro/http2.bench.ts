// CPU of a minimal HTTP/2 proxy made of both halves of the codec, beside one of node:http2, in microseconds a request:
// node bench/micro/http2.bench.ts. Four processes: this one loads, one answers, and the two proxies take turns.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { connect as connectNode, createServer as createNodeServer, type ServerHttp2Stream } from 'node:http2'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Fields, HttpClientConnection, HttpStream, StreamEvents } from '../../sidecar/flow/stream.ts'
import { connectHttp2 } from '../../sidecar/http2/client.ts'
import { serveHttp2 } from '../../sidecar/http2/server.ts'

const ROUNDS = 5
const SMALL = Buffer.alloc(100, 'x')
const LARGE = Buffer.alloc(1024 * 1024, 'x')
const WORK = [
  {
    name: '100 bytes, 4 connections of 16 streams',
    connections: 4,
    streams: 16,
    requests: 40_000,
    path: '/catalog/items?page=2',
  },
  {
    name: '100 bytes, 32 connections of 1 stream',
    connections: 32,
    streams: 1,
    requests: 20_000,
    path: '/catalog/items?page=2',
  },
  { name: '1 MiB, 4 connections of 2 streams', connections: 4, streams: 2, requests: 400, path: '/large' },
]

/** Hands on what one half hears to the other. */
class Half implements StreamEvents {
  other: HttpStream | null = null
  onHead(fields: Fields, end: boolean): void {
    this.other?.sendHead(fields, end)
  }
  own: HttpStream | null = null
  onData(bytes: Uint8Array, from: number, to: number, end: boolean): void {
    if (this.other?.sendData(bytes, from, to, end) === false) this.own?.pause()
  }
  onTrailers(fields: Fields): void {
    this.other?.sendTrailers(fields)
  }
  onReset(): void {
    this.other?.reset('cancel')
  }
  onDrain(): void {
    this.other?.resume()
  }
}

function join(downstream: HttpStream, connection: HttpClientConnection): void {
  const down = new Half()
  const up = new Half()
  const upstream = connection.open(up)
  down.own = up.other = downstream
  up.own = down.other = upstream
  downstream.events = down
}

function tellPort(server: Server | ReturnType<typeof createNodeServer>): void {
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    if (typeof address === 'object' && address !== null) process.send?.(address.port)
  })
}

function listen(onStream: (stream: HttpStream) => void): void {
  const options = {
    accept: onStream,
    onRefused: (code: string, detail: string) => console.error(code, detail),
    onClose() {},
  }
  tellPort(createServer((socket) => serveHttp2(socket, null, options)))
}

function answer(stream: HttpStream, body: Buffer): void {
  stream.sendHead(
    [':status', '200', 'server', 'bench', 'content-type', 'text/plain', 'content-length', String(body.length)],
    false,
  )
  stream.sendData(body, 0, body.length, true)
}

function runUpstream(): void {
  listen((stream) => {
    stream.events = {
      onHead: (fields) => answer(stream, fields[7] === '/large' ? LARGE : SMALL),
      onData() {},
      onTrailers() {},
      onReset() {},
      onDrain() {},
    }
  })
}

function countCpu(): void {
  let last = process.cpuUsage()
  process.on('message', () => {
    const used = process.cpuUsage(last)
    last = process.cpuUsage()
    process.send?.(used.user + used.system)
  })
}

function runOwnProxy(port: number): void {
  const socket = connect(port, '127.0.0.1', () => {
    const upstream = connectHttp2(socket)
    listen((stream) => join(stream, upstream))
  })
  countCpu()
}

function runNodeProxy(port: number): void {
  const upstream = connectNode(`http://127.0.0.1:${port}`, { maxSessionMemory: 1000 })
  const server = createNodeServer({ maxSessionMemory: 1000 })
  server.on('stream', (downstream: ServerHttp2Stream, headers) => {
    const request = upstream.request(headers, { endStream: true })
    request.on('response', (answered) => {
      downstream.respond(answered)
      request.pipe(downstream)
    })
  })
  tellPort(server)
  countCpu()
}

async function start(...args: string[]): Promise<{ child: ChildProcess; port: number }> {
  const child = fork(import.meta.filename, args)
  const [port] = await once(child, 'message')
  return { child, port: Number(port) }
}

async function ask(child: ChildProcess): Promise<number> {
  child.send('cpu')
  const [used] = await once(child, 'message')
  return Number(used)
}

async function open(port: number): Promise<{ socket: Socket; connection: HttpClientConnection }> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  return { socket, connection: connectHttp2(socket, { windowBytes: (1 << 20) - 1, connectionWindowBytes: 8 << 20 }) }
}

/** Resolves once all are answered in full. */
function load(
  connections: readonly HttpClientConnection[],
  streams: number,
  requests: number,
  path: string,
): Promise<void> {
  const head = [
    ':method',
    'GET',
    ':scheme',
    'http',
    ':authority',
    'catalog:8080',
    ':path',
    path,
    'user-agent',
    'bench/1.0',
    'accept',
    '*/*',
  ]
  return new Promise((resolve, reject) => {
    let toSend = requests
    let toCome = requests
    const next = (connection: HttpClientConnection) => {
      if (toSend-- <= 0) return
      let size = 0
      const events: StreamEvents = {
        onHead() {},
        onData(_bytes, from, to, end) {
          size += to - from
          if (!end) return
          if (size !== (path === '/large' ? LARGE : SMALL).length) reject(new Error(`an answer of ${size} bytes`))
          if (--toCome === 0) resolve()
          else next(connection)
        },
        onTrailers() {},
        onReset: (code) => reject(new Error(`reset ${code}`)),
        onDrain() {},
      }
      connection.open(events).sendHead(head, true)
    }
    for (const connection of connections) for (let i = 0; i < streams; i++) next(connection)
  })
}

async function measure(proxy: { child: ChildProcess; port: number }, work: (typeof WORK)[number]): Promise<number> {
  const opened = await Promise.all(Array.from({ length: work.connections }, () => open(proxy.port)))
  const connections = opened.map(({ connection }) => connection)
  try {
    await load(connections, work.streams, work.requests / 4, work.path)
    await ask(proxy.child)
    await load(connections, work.streams, work.requests, work.path)
    return (await ask(proxy.child)) / work.requests
  } finally {
    for (const { socket } of opened) socket.destroy()
  }
}

function summary(results: number[]): string {
  const sorted = results.toSorted((a, b) => a - b)
  const [least = 0, median = 0, most = 0] = [sorted[0], sorted[sorted.length >> 1], sorted.at(-1)]
  return `${median.toFixed(1)} us (${least.toFixed(1)} to ${most.toFixed(1)})`
}

async function main(): Promise<void> {
  const upstream = await start('upstream')
  const own = await start('own', String(upstream.port))
  const node = await start('node', String(upstream.port))
  try {
    for (const work of WORK) {
      const results: { own: number[]; node: number[] } = { own: [], node: [] }
      for (let round = 0; round < ROUNDS; round++) {
        results.own.push(await measure(own, work))
        results.node.push(await measure(node, work))
      }
      console.log(
        `http2 proxy, ${work.name}: ${summary(results.own)} of CPU a request; node:http2 ${summary(results.node)}`,
      )
    }
  } finally {
    for (const { child } of [own, node, upstream]) child.kill()
  }
}

const [mode, port] = process.argv.slice(2)
if (mode === 'upstream') runUpstream()
else if (mode === 'own') runOwnProxy(Number(port))
else if (mode === 'node') runNodeProxy(Number(port))
else await main()
