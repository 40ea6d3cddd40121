// Drives test/fixtures/apps/caller.ts and faulty.ts in pods, by a port that their sidecars leave alone: no process a call.
import { type PodOptions, pod } from './documents.ts'
import type { TestMesh } from './mesh.ts'

export interface Answered {
  /** 0: no answer; the body holds the system's code, or LIMIT. */
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** Of the connection that the application used: equal ports, the same connection. */
  readonly localPort: number
  readonly durationMs: number
}

export interface RequestOptions {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Requests that are under way at a time. */
  readonly concurrency?: number
  readonly pauseMs?: number
  readonly timeoutMs?: number
  /** Default true: connections are kept and used again. */
  readonly isKeepAlive?: boolean
  /** Of a load: so many begin each second, however long they take. */
  readonly ratePerSecond?: number
}

export interface LoadResult {
  readonly total: number
  readonly failed: number
  /** The first of them. */
  readonly failures: readonly Answered[]
  readonly connections: number
  readonly pods: readonly string[]
}

export interface Raw {
  readonly received: string
  readonly error: string | null
  readonly durationMs: number
}

export interface Caller {
  request(url: string, options?: RequestOptions): Promise<Answered>
  requests(url: string, count: number, options?: RequestOptions): Promise<readonly Answered[]>
  raw(to: { host: string; port: number; text: string; limitMs?: number; isEnded?: boolean }): Promise<Raw>
  /** Requests without end; returns the way to stop, which tells what came of them. */
  startLoad(url: string, options?: RequestOptions): Promise<() => Promise<LoadResult>>
  /** Lines there and back on one connection, to a server that echoes. */
  startPing(
    host: string,
    port: number,
  ): Promise<() => Promise<{ sent: number; received: number; error: string | null; wasOver: boolean }>>
}

export type Mode = number | 'refuse' | 'reset' | 'hang'

export interface Faulty {
  /** Also forgets what was counted. */
  set(mode: Mode): Promise<void>
  /** Requests that the application saw, by method, since the last set(). */
  seen(): Promise<Readonly<Record<string, number>>>
}

const CONTROL_PORT = 9100
const annotations = { 'config.weft.dev/skip-inbound-ports': `${CONTROL_PORT}` }
const readiness = { tcpSocket: { port: CONTROL_PORT }, periodSeconds: 1 }

export const callerPod = (options: Partial<PodOptions> = {}): string =>
  pod({
    name: 'client',
    command: ['node', 'test/fixtures/apps/caller.ts'],
    annotations,
    readiness,
    ...options,
  })

/** Ready whatever its mode, so that failing replicas stay endpoints. */
export const faultyPod = (options: Partial<PodOptions> & { name: string }): string =>
  pod({
    command: ['node', 'test/fixtures/apps/faulty.ts'],
    ports: [8080, 9000],
    annotations,
    readiness,
    ...options,
  })

/** Of a mesh on one machine or of a cluster: what is known of it is where its pods are. */
type Pods = Pick<TestMesh, 'addressOf'>

export function callerIn(mesh: Pods, podName = 'client-0'): Caller {
  const order = <T>(kind: string, rest: object): Promise<T> =>
    askPod<T>(mesh, podName, 'POST', JSON.stringify({ kind, ...rest }))
  let count = 0
  return {
    async request(url, options) {
      const [answer] = await this.requests(url, 1, options)
      if (answer === undefined) throw new Error('no answer')
      return answer
    },
    requests: (url, times, options) => order('call', { ...full(url, options), count: times }),
    raw: (to) => order('raw', { limitMs: 10_000, isEnded: true, ...to }),
    async startLoad(url, options) {
      const name = `load ${count++}`
      await order('start load', { ...full(url, { pauseMs: 10, ...options }), name })
      return () => order('stop load', { name })
    },
    async startPing(host, port) {
      const name = `ping ${count++}`
      await order('start ping', { host, port, pauseMs: 50, name })
      return () => order('stop ping', { name })
    },
  }
}

export function faultyIn(mesh: TestMesh, podName: string): Faulty {
  return {
    set: (mode) => askPod(mesh, podName, 'POST', JSON.stringify(mode)),
    seen: () => askPod(mesh, podName, 'GET'),
  }
}

/** Waits until it holds; what it waits for is in the error. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, limitMs = 60_000): Promise<void> {
  const deadline = performance.now() + limitMs
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not within ${limitMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

function full(url: string, options: RequestOptions = {}) {
  const defaults = {
    method: 'GET',
    headers: {},
    body: '',
    concurrency: 1,
    pauseMs: 0,
    timeoutMs: 20_000,
    ratePerSecond: 0,
  }
  return { ...defaults, isKeepAlive: true, ...options, url }
}

async function askPod<T>(mesh: Pods, podName: string, method: string, body?: string): Promise<T> {
  const url = `http://${mesh.addressOf(podName)}:${CONTROL_PORT}/`
  const response = await fetch(url, { method, ...(body !== undefined && { body }) })
  const text = await response.text()
  if (!response.ok) throw new Error(`${podName} could not: ${text}`)
  return JSON.parse(text) as T
}
