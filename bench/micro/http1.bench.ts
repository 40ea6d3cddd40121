// CPU of a minimal HTTP/1.1 proxy made of both halves of the codec, in microseconds a request: node bench/micro/http1.bench.ts
// Three processes: this one loads with 32 connections, one answers 100 bytes, one is the proxy whose CPU is counted.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { Fields, HttpClientConnection, HttpStream, StreamEvents } from '../../sidecar/flow/stream.ts'
import { connectHttp1 } from '../../sidecar/http1/client.ts'
import { serveHttp1 } from '../../sidecar/http1/server.ts'

const ROUNDS = 5
const ROUND_REQUESTS = 40_000
const CONNECTIONS = 32
const REQUEST =
  'GET /catalog/items?page=2 HTTP/1.1\r\nHost: catalog:8080\r\nUser-Agent: bench/1.0\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\r\n'
const ANSWER = Buffer.from(
  `HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Mon, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n${'x'.repeat(100)}`,
)

/** The other end of each half hands on what it hears; nothing in between. */
class Exchange implements StreamEvents {
  readonly #downstream: HttpStream
  readonly #pool: HttpClientConnection[]
  readonly #port: number
  #upstream: HttpStream | null = null

  constructor(downstream: HttpStream, pool: HttpClientConnection[], port: number) {
    this.#downstream = downstream
    this.#pool = pool
    this.#port = port
  }

  onHead(fields: Fields, end: boolean): void {
    const connection = this.#pool.pop()
    if (connection !== undefined) return this.#send(connection, fields, end)
    const socket = connect(this.#port, '127.0.0.1', () => {
      const fresh = connectHttp1(socket)
      fresh.onIdle = () => this.#pool.push(fresh)
      this.#send(fresh, fields, end)
    })
  }

  #send(connection: HttpClientConnection, fields: Fields, end: boolean): void {
    const downstream = this.#downstream
    this.#upstream = connection.open({
      onHead: (head, isEnd) => downstream.sendHead(head, isEnd),
      onData: (bytes, from, to, isEnd) => downstream.sendData(bytes, from, to, isEnd),
      onTrailers: (trailers) => downstream.sendTrailers(trailers),
      onReset: (code) => downstream.reset(code),
      onDrain() {},
    })
    this.#upstream.sendHead(fields, end)
  }

  onData(): void {}
  onTrailers(): void {}
  onReset(): void {
    this.#upstream?.reset('cancel')
  }
  onDrain(): void {}
}

function listen(onSocket: (socket: Socket) => void): void {
  const server = createServer(onSocket).listen(0, '127.0.0.1', () => {
    const address = server.address()
    if (typeof address === 'object' && address !== null) process.send?.(address.port)
  })
}

function runUpstream(): void {
  listen((socket) => {
    socket.on('data', () => socket.write(ANSWER))
    socket.on('error', () => {})
  })
}

function runProxy(port: number): void {
  const pool: HttpClientConnection[] = []
  listen((socket) => {
    serveHttp1(socket, null, {
      accept: (stream) => {
        stream.events = new Exchange(stream, pool, port)
      },
      onRefused: (code, detail) => console.error(code, detail),
      onClose() {},
    })
  })
  let last = process.cpuUsage()
  process.on('message', () => {
    const used = process.cpuUsage(last)
    last = process.cpuUsage()
    process.send?.(used.user + used.system)
  })
}

async function ask(child: ChildProcess): Promise<number> {
  child.send('cpu')
  const [answer] = await once(child, 'message')
  return Number(answer)
}

async function start(...args: string[]): Promise<{ child: ChildProcess; port: number }> {
  const child = fork(import.meta.filename, args)
  const [port] = await once(child, 'message')
  return { child, port: Number(port) }
}

function load(sockets: readonly Socket[], requests: number): Promise<void> {
  return new Promise((resolve) => {
    let left = requests
    let open = sockets.length
    for (const socket of sockets) {
      socket.removeAllListeners('data')
      let size = 0
      socket.on('data', (chunk) => {
        size += chunk.length
        if (size < ANSWER.length) return
        size -= ANSWER.length
        if (left-- > 0) socket.write(REQUEST)
        else if (--open === 0) resolve()
      })
      socket.write(REQUEST)
    }
  })
}

async function main(): Promise<void> {
  const upstream = await start('upstream')
  const proxy = await start('proxy', String(upstream.port))
  const sockets: Socket[] = []
  try {
    for (let i = 0; i < CONNECTIONS; i++) {
      const socket = connect(proxy.port, '127.0.0.1').setNoDelay(true)
      await once(socket, 'connect')
      sockets.push(socket)
    }
    await load(sockets, ROUND_REQUESTS / 2)
    await ask(proxy.child)
    const results: number[] = []
    for (let round = 0; round < ROUNDS; round++) {
      await load(sockets, ROUND_REQUESTS)
      results.push((await ask(proxy.child)) / (ROUND_REQUESTS + CONNECTIONS))
    }
    results.sort((a, b) => a - b)
    const [least = 0, median = 0, most = 0] = [results[0], results[ROUNDS >> 1], results.at(-1)]
    console.log(
      `http1 proxy: ${median.toFixed(1)} us of CPU a request (${least.toFixed(1)} to ${most.toFixed(1)}, ${ROUNDS} rounds)`,
    )
  } finally {
    for (const socket of sockets) socket.destroy()
    proxy.child.kill()
    upstream.child.kill()
  }
}

const [mode, port] = process.argv.slice(2)
if (mode === 'upstream') runUpstream()
else if (mode === 'proxy') runProxy(Number(port))
else await main()
