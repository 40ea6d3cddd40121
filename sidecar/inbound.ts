// The inbound path: what reaches this pod. Read it top to bottom, then open the folder of a step.
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Accepted, Addressed, Secured } from '#flow/connection.ts'
import { FlowError } from '#flow/error.ts'
import type { Sink } from '#flow/event.ts'
import { choose, type Handler, type Layer, Path } from '#flow/layer.ts'
import type { Resolve } from '#flow/route.ts'
import type { Address } from '#shared/address.ts'
import type { Clock } from '#shared/clock.ts'
import type { HttpEngine, MtlsMode } from '#shared/decide/config.ts'
import type { SpiffeId } from '#shared/identity/spiffe-id.ts'
import { type AccountParts, accountFor, addressOf, type Ending } from './accept/account.ts'
import { type OriginalDestination, recoverDestination, requireOwnAddress } from './accept/destination.ts'
import { judgeInbound, type MeshHello } from './detect/mesh-hello.ts'
import { type Peeked, peek } from './detect/peek.ts'
import { isHttp, judge, type Spoken, settle } from './detect/protocol.ts'
import { relayBytes } from './relay/bytes.ts'
import type { ExchangeContext } from './relay/context.ts'
import { firstSpeaker } from './relay/first-speaker.ts'
import type { MeshAlpn } from './secure/mesh-alpn.ts'
import type { Terminator } from './secure/terminate.ts'
import type { HttpServing } from './serve-http.ts'

export interface InboundParts extends AccountParts {
  readonly originalDestination: OriginalDestination
  readonly ownPorts: readonly number[]
  readonly podAddresses: readonly string[]
  readonly silenceMs: number
  /** undefined until discovery has told: treated as Strict. */
  readonly mode: () => MtlsMode | undefined
  readonly declared: (port: number) => 'http' | 'opaque' | 'detect'
  readonly engine: (port: number) => HttpEngine | undefined
  readonly serviceOf: (port: number) => string | null
  readonly terminate: Terminator
  /** To the application, at the pod's own address. */
  readonly dial: (address: Address, signal: AbortSignal) => Promise<Duplex>
  /** Callers of different identities never share a connection to the application. */
  readonly resolveFor: (destination: Address, peer: SpiffeId | null) => Resolve
  readonly serveHttp: HttpServing['serve']
  readonly clock: Clock
  readonly random: () => number
  readonly emit: Sink
  readonly answer: ExchangeContext['answer']
}

interface Opened extends Secured {
  readonly spoken: Spoken
  readonly head: Buffer
  /** The application, where it has been dialled already. */
  readonly server?: Duplex
  /** Requests of many callers of the peer's pod share the connection; each tells its original version. */
  readonly isPeer?: boolean
  /** It was framed by the codec of another sidecar, which is as strict as ours. */
  readonly isFramed?: boolean
  /** End of the caller's certificate. */
  readonly expiresAt?: Date
}

// A mesh peer sends its ClientHello at once; whoever is silent for longer is none.
const HELLO_TIMEOUT_MS = 10_000
const NOTHING = Buffer.alloc(0)

export interface Inbound {
  readonly handler: Handler<Accepted, void>
  /** A connection of this very pod to itself: no wire, so no TLS; its identity is our own. */
  acceptLocal(stream: Duplex, destination: Address, alpn: MeshAlpn, self: SpiffeId | null): void
}

export function buildInbound(parts: InboundParts): Inbound {
  const relay = choose<Opened, 'http' | 'bytes', Ending>(({ spoken }) => (isHttp(spoken) ? 'http' : 'bytes'), {
    http: serveRequests(parts),
    bytes: relayToApplication(parts),
  })
  const path = Path.from<Accepted, Ending>()
    .through(recoverDestination(parts.originalDestination, parts.ownPorts))
    .through(requireOwnAddress(parts.podAddresses))
    .through(requireIdentity(parts))
    .to(relay)
  return {
    handler: accountFor(parts, path),
    acceptLocal(stream, destination, alpn, self) {
      const { signal } = new AbortController()
      // What is written for a stream needs of the socket only its addresses, which a local one has not.
      const local = { socket: stream as Socket, direction: 'inbound', signal, destination } as const
      relay({ ...local, stream, peer: self, ...framedBy(alpn), head: NOTHING }).catch((error: unknown) => {
        if (!(error instanceof FlowError)) parts.onBug(error)
        stream.destroy()
      })
    },
  }
}

/** Mutual TLS of the mesh is terminated; anything else is what the mode of this workload says. */
function requireIdentity(parts: InboundParts): Layer<Addressed, Opened, Ending> {
  return (next) => async (input) => {
    const mode = parts.mode() ?? 'Strict'
    const first = await peek(input.socket, {
      judge: judgeInbound,
      waitMs: mode === 'Strict' ? HELLO_TIMEOUT_MS : parts.silenceMs,
      signal: input.signal,
    })
    if (first.verdict === 'mesh') return next(await terminated(parts, input, first.head))
    if (mode === 'Strict') throw new FlowError('STRICT_MTLS')
    const isSilent = first.verdict === null && first.head.length === 0 && !first.isEnded
    if (isSilent) return next(await dialFirst(parts, input))
    return next(inClear(parts, input, first))
  }
}

async function terminated(parts: InboundParts, input: Addressed, head: Buffer): Promise<Opened> {
  const declared = parts.declared(input.destination.port)
  // A port that is none of HTTP has no requests that could share a connection.
  const offered = declared === 'opaque' ? ONE_BY_ONE : undefined
  const { stream, peer, alpn, expiresAt } = await parts.terminate(input.socket, head, input.signal, offered)
  const opened = { ...input, stream, peer, expiresAt, head: NOTHING }
  // ALPN states framing: it must not lead a caller past the codec of a port of HTTP, nor HTTP to a port that is none.
  if (declared === 'http' && alpn === 'weft/tcp') {
    const heard = await peek(stream, { judge, waitMs: Number.POSITIVE_INFINITY, signal: input.signal })
    return { ...opened, spoken: settle(heard.verdict, declared), head: heard.head }
  }
  return { ...opened, ...framedBy(declared === 'opaque' ? 'weft/tcp' : alpn) }
}

const ONE_BY_ONE: readonly MeshAlpn[] = ['weft/http1', 'weft/tcp']

function framedBy(alpn: MeshAlpn): Pick<Opened, 'spoken' | 'isPeer' | 'isFramed'> {
  if (alpn === 'weft/h2') return { spoken: 'h2', isPeer: true, isFramed: true }
  return alpn === 'weft/http1' ? { spoken: 'http/1.1', isFramed: true } : { spoken: 'opaque' }
}

function inClear(parts: InboundParts, input: Addressed, heard: Peeked<Spoken | MeshHello>): Opened {
  const declared = parts.declared(input.destination.port)
  const verdict = heard.verdict === 'mesh' ? null : heard.verdict
  const spoken = declared === 'opaque' ? 'opaque' : settle(verdict, declared)
  return { ...input, stream: input.socket, peer: null, spoken, head: heard.head }
}

/** Permissive and silent: perhaps the application speaks first. A mesh peer that was only slow is still terminated. */
async function dialFirst(parts: InboundParts, input: Addressed): Promise<Opened> {
  const server = await parts.dial(input.destination, input.signal)
  const listen = (signal: AbortSignal) =>
    peek(input.socket, {
      judge: judgeInbound,
      waitMs: Number.POSITIVE_INFINITY,
      signal: AbortSignal.any([signal, input.signal]),
    })
  const first = await firstSpeaker(server, listen)
  if (first.who === 'server') {
    return { ...input, stream: input.socket, peer: null, spoken: 'opaque', head: NOTHING, server }
  }
  if (first.heard.verdict === 'mesh') {
    server.destroy()
    return terminated(parts, input, first.heard.head)
  }
  const opened = inClear(parts, input, first.heard)
  if (!isHttp(opened.spoken)) return { ...opened, server }
  server.destroy()
  return opened
}

function serveRequests(parts: InboundParts): Handler<Opened, Ending> {
  return async (opened) => {
    const { stream, socket, head, destination, peer, spoken, isPeer = false, isFramed = false, expiresAt } = opened
    const service = parts.serviceOf(destination.port)
    const context: ExchangeContext = {
      direction: 'inbound',
      destination,
      source: addressOf(socket.remoteAddress, socket.remotePort),
      service,
      peer,
      isPeer,
      clock: parts.clock,
      random: parts.random,
      resolve: parts.resolveFor(destination, peer),
      emit: parts.emit,
      answer: parts.answer,
    }
    const protocol = spoken === 'h2' ? 'h2' : 'http/1.1'
    const engine = isFramed ? undefined : parts.engine(destination.port)
    await parts.serveHttp(stream, head, context, { protocol, engine, expiresAt })
    const { bytesRead: bytesSent = 0, bytesWritten: bytesReceived = 0 } = socket
    return { protocol, destination, service, endpoint: destination, peer, bytesSent, bytesReceived }
  }
}

function relayToApplication(parts: InboundParts): Handler<Opened, Ending> {
  return async ({ stream, head, destination, peer, spoken, server, signal }) => {
    const application = server ?? (await parts.dial(destination, signal))
    const { bytesSent, bytesReceived } = await relayBytes(stream, application, { head, idleTimeoutMs: null, signal })
    const protocol = spoken === 'silent' ? 'opaque' : spoken
    const service = parts.serviceOf(destination.port)
    return { protocol, destination, service, endpoint: destination, peer, bytesSent, bytesReceived }
  }
}
