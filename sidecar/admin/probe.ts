// Runs a probe of the application in the kubelet's place: under Strict the kubelet, which has no identity, could not. The
// sidecar's uid is exempt from redirection, so this reaches the application itself.
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect } from 'node:net'
import { checkGrpcHealth } from './grpc-probe.ts'
import { type Page, plain } from './http.ts'

/** As in a container of the Kubernetes API; exec is not the sidecar's business. */
export interface Probe {
  readonly action: Action
  readonly timeoutMs: number
  readonly periodMs: number
}
export type Action = HttpGet | TcpSocket | GrpcCheck
export interface HttpGet {
  readonly kind: 'httpGet'
  readonly path: string
  readonly port: number
  readonly scheme: 'HTTP' | 'HTTPS'
  readonly headers: readonly { readonly name: string; readonly value: string }[]
}
export interface TcpSocket {
  readonly kind: 'tcpSocket'
  readonly port: number
}
export interface GrpcCheck {
  readonly kind: 'grpc'
  readonly port: number
  /** Empty: the server as a whole. */
  readonly service: string
}
/** By name: readiness, liveness, startup, or with the container in front, as in catalog.readiness. */
export type Probes = ReadonlyMap<string, Probe>

export interface ProbeResult {
  readonly isSuccess: boolean
  readonly text: string
}

/** Never rejects: whatever goes wrong is a failed probe. */
export async function runProbe(probe: Probe, host: string, signal: AbortSignal): Promise<ProbeResult> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(probe.timeoutMs)])
  try {
    return await act(probe.action, host, deadline)
  } catch (cause) {
    if (deadline.aborted) return { isSuccess: false, text: `no answer within ${probe.timeoutMs} ms` }
    return { isSuccess: false, text: cause instanceof Error ? cause.message : String(cause) }
  }
}

function act(action: Action, host: string, signal: AbortSignal): Promise<ProbeResult> {
  if (action.kind === 'httpGet') return getHttp(action, host, signal)
  if (action.kind === 'tcpSocket') return openTcp(action, host, signal)
  return checkGrpc(action, host, signal)
}

async function checkGrpc({ port, service }: GrpcCheck, host: string, signal: AbortSignal): Promise<ProbeResult> {
  const status = await checkGrpcHealth({ host, port, service }, signal)
  return { isSuccess: status === 'SERVING', text: `the application says ${status}` }
}

/** 200 to 399 is success, as the kubelet has it; a redirect is not followed. The body is not read. */
function getHttp(action: HttpGet, host: string, signal: AbortSignal): Promise<ProbeResult> {
  const headers: Record<string, string> = { 'user-agent': 'weft-probe', accept: '*/*', connection: 'close' }
  for (const { name, value } of action.headers) headers[name.toLowerCase()] = value
  const target = { host, port: action.port, path: action.path, headers, signal, agent: false as const }
  return new Promise((resolve, reject) => {
    // Like the kubelet: a probe proves that the application lives, not who it is.
    const request =
      action.scheme === 'HTTPS' ? httpsRequest({ ...target, rejectUnauthorized: false }) : httpRequest(target)
    request.on('error', reject)
    request.on('response', (response) => {
      const status = response.statusCode ?? 0
      response.on('error', () => {})
      response.destroy()
      resolve({ isSuccess: status >= 200 && status < 400, text: `the application answered ${status}` })
    })
    request.end()
  })
}

function openTcp(action: TcpSocket, host: string, signal: AbortSignal): Promise<ProbeResult> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: action.port })
    const onAbort = () => socket.destroy(new Error('aborted'))
    signal.addEventListener('abort', onAbort, { once: true })
    socket.on('error', reject)
    socket.on('close', () => signal.removeEventListener('abort', onAbort))
    socket.on('connect', () => {
      socket.destroy()
      resolve({ isSuccess: true, text: 'the application accepts connections' })
    })
    if (signal.aborted) onAbort()
  })
}

export interface ProbePageOptions {
  readonly probes: Probes
  /** The pod's own address that the application listens on. */
  readonly address: () => string
  /** A pod that leaves is not ready, whatever the application says. */
  readonly isDraining: () => boolean
}

/** GET /probe/NAME: 200, or 503 with the reason in one line. */
export function probePage(options: ProbePageOptions): Page {
  return async (query, signal) => {
    const name = query.get('*') ?? ''
    const probe = options.probes.get(name)
    if (probe === undefined)
      return plain(404, `no probe of that name; there are: ${[...options.probes.keys()].join(', ')}`)
    if (isReadiness(name) && options.isDraining()) return plain(503, 'the pod is shutting down')
    const result = await runProbe(probe, options.address(), signal)
    return plain(result.isSuccess ? 200 : 503, result.text)
  }
}

function isReadiness(name: string): boolean {
  return name === 'readiness' || name.endsWith('.readiness')
}
