// One JSON line for each request and connection, with the attribute names of OpenTelemetry. Built by hand: it is in the
// hot path. Lines of one turn of the event loop go out in one write; what is over the limits is dropped and counted.
import type { ConnectionEnded, RequestEnded, Sink } from '#flow/event.ts'
import { formatAddress } from '#shared/address.ts'
import type { SpiffeId } from '#shared/identity/spiffe-id.ts'
import { quote } from './json.ts'
import { knownMethod } from './methods.ts'
import { rpcStatus } from './rpc.ts'

export interface AccessLogOptions {
  /** The identity of this pod, for src and dst. */
  readonly self?: () => SpiffeId | null
  readonly now?: () => number
  /** Default 10000. */
  readonly maxLinesPerSecond?: number
  /** Characters that may wait for the end of the turn. Default 1 MiB. */
  readonly maxPendingLength?: number
}

export type AccessLog = Sink & {
  /** Writes what waits; for the end of the process. */
  flush(): void
  /** Lines dropped so far. */
  readonly dropped: () => number
}

// Nobody needs more of a path to find a request, and a client must not fill the disk with one.
const MAX_PATH = 1024
const MAX_TEXT = 256

/** `write` gets one or more whole lines, each with its line feed. */
export function createAccessLog(
  write: (text: string) => void,
  isEnabled: () => boolean,
  options: AccessLogOptions = {},
): AccessLog {
  const self = options.self ?? (() => null)
  const gate = createGate(options)
  const timestamp = createTimestamp()
  let pending = ''
  let isScheduled = false

  function flush(): void {
    isScheduled = false
    const text = pending
    pending = ''
    if (text !== '') write(text)
  }

  function sink(event: ConnectionEnded | RequestEnded): void {
    if (!isEnabled() || !gate.admits(pending.length)) return
    const at = timestamp(event.startedAt + event.durationMs)
    const unreported = gate.takeUnreported()
    if (unreported > 0)
      pending += `{"ts":"${at}","level":"warn","msg":"access log lines dropped","dropped":${unreported}}\n`
    pending += `{"ts":"${at}","level":"info","msg":"${event.kind}"${
      event.kind === 'request' ? requestText(event, self()) : connectionText(event, self())
    }}\n`
    if (isScheduled) return
    isScheduled = true
    setImmediate(flush)
  }

  return Object.assign(sink, { flush, dropped: gate.dropped })
}

interface Gate {
  admits(pendingLength: number): boolean
  /** Lines dropped since the last report, at most once a second; else 0. */
  takeUnreported(): number
  dropped(): number
}

function createGate(options: AccessLogOptions): Gate {
  const now = options.now ?? (() => performance.now())
  const maxLines = options.maxLinesPerSecond ?? 10_000
  const maxPending = options.maxPendingLength ?? 1_048_576
  let windowStart = now()
  let lines = 0
  let dropped = 0
  let reported = 0
  let mayReport = true
  return {
    admits(pendingLength) {
      const at = now()
      if (at - windowStart >= 1000) {
        windowStart = at
        lines = 0
        mayReport = true
      }
      const isAdmitted = lines < maxLines && pendingLength < maxPending
      if (isAdmitted) lines++
      else dropped++
      return isAdmitted
    },
    takeUnreported() {
      if (!mayReport || dropped === reported) return 0
      const count = dropped - reported
      reported = dropped
      mayReport = false
      return count
    },
    dropped: () => dropped,
  }
}

function requestText(event: RequestEnded, self: SpiffeId | null): string {
  const method = knownMethod(event.method)
  return (
    `,"weft.direction":"${event.direction}"` +
    `,"http.request.method":"${method}"` +
    (method === event.method ? '' : `,"http.request.method_original":${quote(event.method, MAX_TEXT)}`) +
    `,"url.path":${quote(event.path, MAX_PATH)}` +
    (event.status === 0 ? '' : `,"http.response.status_code":${event.status}`) +
    `,"network.protocol.name":"http","network.protocol.version":"${event.version}"` +
    `,"server.address":${quote(event.authority, MAX_TEXT)}` +
    optional('http.route', event.route) +
    optional('user_agent.original', event.userAgent) +
    `,"http.request.body.size":${event.requestBytes},"http.response.body.size":${event.responseBytes}` +
    optional('rpc.status_code', rpcStatus(event.grpcStatus)) +
    `,"weft.attempts":${event.attempts}` +
    commonText(event, self) +
    optional('weft.detail', event.detail) +
    optional('trace_id', event.traceId)
  )
}

function connectionText(event: ConnectionEnded, self: SpiffeId | null): string {
  return (
    `,"weft.direction":"${event.direction}"` +
    optional('network.protocol.name', event.protocol) +
    `,"weft.bytes_sent":${event.bytesSent},"weft.bytes_received":${event.bytesReceived}` +
    commonText(event, self)
  )
}

function commonText(event: ConnectionEnded | RequestEnded, self: SpiffeId | null): string {
  const isInbound = event.direction === 'inbound'
  // The far side of the network: who called us, or whom we called.
  const peer = isInbound ? event.source : event.endpoint
  return (
    (peer === null ? '' : `,"network.peer.address":"${peer.host}","network.peer.port":${peer.port}`) +
    (event.destination === null ? '' : `,"weft.destination":"${formatAddress(event.destination)}"`) +
    optional('weft.service', event.service) +
    optional('src', isInbound ? event.peer : self) +
    optional('dst', isInbound ? self : event.peer) +
    optional('weft.reason', event.reason) +
    `,"duration_ms":${Math.round(event.durationMs * 1000) / 1000}`
  )
}

function optional(name: string, value: string | null): string {
  return value === null ? '' : `,"${name}":${quote(value, MAX_TEXT)}`
}

/** RFC 3339 in UTC with milliseconds; the part down to the second is kept, as it rarely changes. */
function createTimestamp(): (wallMs: number) => string {
  let second = Number.NaN
  let prefix = ''
  return (wallMs) => {
    const whole = Math.floor(wallMs / 1000)
    if (whole !== second) {
      second = whole
      prefix = new Date(whole * 1000).toISOString().slice(0, 20)
    }
    return `${prefix}${String(Math.floor(wallMs) - whole * 1000).padStart(3, '0')}Z`
  }
}
