// The running shop, as the scenes see it: web from this machine, and what the sidecars tell through the command line.
import { connect } from 'node:net'
import type { Span, Trace } from './trace.ts'
import { weft } from './weft.ts'

export interface LogLine {
  readonly msg: string
  readonly src?: string
  readonly dst?: string
  readonly trace_id?: string
  readonly 'weft.direction'?: 'inbound' | 'outbound'
  readonly 'url.path'?: string
  /** Tries, 1 without a retry. */
  readonly 'weft.attempts'?: number
  readonly 'http.response.status_code'?: number
}

export interface Answer<Body> {
  readonly status: number
  readonly body: Body
}

export interface Shop {
  /** Where this machine reaches web. */
  readonly webUrl: string
  /** Asks web. */
  request<Body>(method: string, path: string, headers?: Record<string, string>): Promise<Answer<Body>>
  get<Body>(path: string, headers?: Record<string, string>): Promise<Answer<Body>>
  /** How a connection from this machine, without identity, to the HTTP port of a pod ends: what came back. */
  askInClear(workload: string): Promise<string>
  /** Lines of the sidecars of all replicas. */
  accessLog(workload: string): Promise<readonly LogLine[]>
  /** The Prometheus page of the sidecar of the first replica. */
  metrics(workload: string): Promise<string>
  exec(workload: string, ...command: string[]): Promise<string>
  trace(id: string): Promise<Trace>
}

interface Status {
  readonly pods: readonly { readonly name: string; readonly workload: string; readonly addresses: readonly string[] }[]
}

interface Kept {
  readonly spans: readonly Span[]
}

export async function openShop(mesh: string): Promise<Shop> {
  const of = ['--mesh', mesh]
  const { pods } = JSON.parse(await weft('status', ...of, '-o', 'json')) as Status
  const addressOf = (workload: string): string => {
    const address = pods.find((pod) => pod.workload === workload)?.addresses[0]
    if (address === undefined) throw new Error(`weft status knows no pod of ${workload}`)
    return address
  }
  const webUrl = `http://${addressOf('web')}:8080`
  const shop: Shop = {
    webUrl,
    async request<Body>(method: string, path: string, headers: Record<string, string> = {}) {
      const response = await fetch(webUrl + path, { method, headers, signal: AbortSignal.timeout(20_000) })
      return { status: response.status, body: (await response.json()) as Body }
    },
    get: (path, headers) => shop.request('GET', path, headers),
    askInClear: (workload) => askInClear(addressOf(workload)),
    async accessLog(workload) {
      const text = await weft('logs', ...of, workload, '--sidecar')
      return text.split('\n').flatMap(readLine)
    },
    async metrics(workload) {
      const response = await fetch(`http://${addressOf(workload)}:15020/metrics`)
      return response.text()
    },
    exec: (workload, ...command) => weft('exec', ...of, workload, '--', ...command),
    async trace(id) {
      const { traces } = JSON.parse(await weft('traces', ...of, id, '-o', 'json')) as { traces: readonly Kept[] }
      return { spans: traces[0]?.spans ?? [], drawing: (await weft('traces', ...of, id)).split('\n') }
    },
  }
  return shop
}

/** A line of another form (the sidecar's own log, a prefix) is not of the access log. */
function readLine(text: string): LogLine[] {
  try {
    const line = JSON.parse(text.slice(text.indexOf('{'))) as LogLine
    return line.msg === 'request' || line.msg === 'connection' ? [line] : []
  } catch {
    return []
  }
}

function askInClear(host: string): Promise<string> {
  return new Promise((resolve) => {
    let heard = ''
    const socket = connect(8080, host, () => socket.write('GET /products HTTP/1.1\r\nhost: catalog\r\n\r\n'))
    socket.setTimeout(15_000, () => socket.destroy())
    socket.on('data', (chunk: Buffer) => {
      heard += chunk.toString('latin1')
      socket.end()
    })
    // A reset is the answer that is hoped for.
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(heard))
  })
}
