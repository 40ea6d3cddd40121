// The outbound path: what the application of this pod opens. Read it top to bottom, then open the folder of a step.
import type { Duplex } from 'node:stream'
import type { Accepted, Secured } from '#flow/connection.ts'
import { FlowError } from '#flow/error.ts'
import type { Sink } from '#flow/event.ts'
import { choose, type Handler, type Layer, Path } from '#flow/layer.ts'
import type { Lease } from '#flow/upstream.ts'
import type { Address } from '#shared/address.ts'
import type { Clock } from '#shared/clock.ts'
import { type AccountParts, accountFor, addressOf, type Ending } from './accept/account.ts'
import { type OriginalDestination, recoverDestination } from './accept/destination.ts'
import { peek } from './detect/peek.ts'
import { detectProtocol, type Heard, isHttp, judge } from './detect/protocol.ts'
import { relayBytes } from './relay/bytes.ts'
import type { ExchangeContext } from './relay/context.ts'
import { firstSpeaker } from './relay/first-speaker.ts'
import { type Looked, type LookUpParts, lookUp } from './route/look-up.ts'
import type { Backend, Target } from './route/table.ts'
import type { HttpServing } from './serve-http.ts'

/** A byte stream to an endpoint of a backend, with the lease that it holds. */
export interface OpenedBytes {
  readonly stream: Duplex
  readonly lease: Lease
}

export interface OutboundParts extends AccountParts, LookUpParts {
  readonly originalDestination: OriginalDestination
  readonly ownPorts: readonly number[]
  readonly silenceMs: number
  readonly detectTimeoutMs: number
  readonly clock: Clock
  readonly random: () => number
  readonly emit: Sink
  readonly answer: ExchangeContext['answer']
  readonly openBytes: (backend: Backend, signal: AbortSignal) => Promise<OpenedBytes>
  /** Straight to an address outside the mesh. */
  readonly dial: (address: Address, signal: AbortSignal) => Promise<Duplex>
  readonly serveHttp: HttpServing['serve']
}

type Looking = Secured & Looked
type Detected = Looking & Heard & { readonly server?: OpenedBytes }

export function buildOutbound(parts: OutboundParts): Handler<Accepted, void> {
  const path = Path.from<Accepted, Ending>()
    .through(recoverDestination(parts.originalDestination, parts.ownPorts))
    .through(lookUp(parts))
    .through(asItCame)
    .through(detectProtocol((looking: Looking) => detectRule(looking, parts)))
    .through(letServerSpeakFirst(parts))
    .to(
      choose((detected: Detected) => branchOf(detected), {
        http: serveRequests(parts),
        bytes: relayToBackend(parts),
        outside: relayOutside(parts),
      }),
    )
  return accountFor(parts, path)
}

/** The application's half is taken as it is: TLS of its own passes through untouched. */
const asItCame: Layer<Omit<Looking, 'stream' | 'peer'>, Looking, Ending> = (next) => (input) =>
  next({ ...input, stream: input.socket, peer: null })

function detectRule(
  { target }: Looking,
  parts: OutboundParts,
): { declared: 'http' | 'opaque' | 'detect'; silenceMs: number } {
  if (target === null) return { declared: 'opaque', silenceMs: 0 }
  const { config, memory } = target()
  const { protocol: declared } = config
  if (memory.spoke === 'http') return { declared, silenceMs: Number.POSITIVE_INFINITY }
  if (memory.spoke === 'server') return { declared, silenceMs: 0 }
  return { declared, silenceMs: config.rules.length === 0 ? parts.silenceMs : parts.detectTimeoutMs }
}

/** A silent client: dial the default backend, and whoever speaks first decides. The verdict is remembered. */
function letServerSpeakFirst(parts: OutboundParts): Layer<Looking & Heard, Detected, Ending> {
  return (next) => async (input) => {
    if (input.target === null) return next(input)
    const target = input.target()
    const detected = input.spoken === 'silent' ? await raceForFirstWord(parts, input, target) : input
    if (isHttp(detected.spoken)) target.memory.spoke = 'http'
    return next(detected)
  }
}

async function raceForFirstWord(parts: OutboundParts, input: Looking & Heard, target: Target): Promise<Detected> {
  const server = await parts.openBytes(defaultBackend(target), input.signal)
  const first = await firstSpeaker(server.stream, (signal) =>
    peek(input.stream, {
      judge,
      waitMs: Number.POSITIVE_INFINITY,
      signal: AbortSignal.any([signal, input.signal]),
    }),
  )
  if (first.who === 'server') {
    target.memory.spoke = 'server'
    return { ...input, spoken: 'opaque', server }
  }
  const { verdict, head } = first.heard
  if (verdict === null || !isHttp(verdict)) return { ...input, spoken: verdict ?? 'opaque', head, server }
  server.stream.destroy()
  server.lease.done({ ok: true, fault: null, status: 0, durationMs: 0 })
  return { ...input, spoken: verdict, head }
}

function branchOf({ target, spoken }: Detected): 'http' | 'bytes' | 'outside' {
  if (target === null) return 'outside'
  return isHttp(spoken) ? 'http' : 'bytes'
}

function serveRequests(parts: OutboundParts): Handler<Detected, Ending> {
  return async ({ stream, socket, head, destination, target, spoken }) => {
    const targetNow = target as () => Target
    const { service } = targetNow()
    const source = addressOf(socket.remoteAddress, socket.remotePort)
    const context: ExchangeContext = {
      direction: 'outbound',
      destination,
      source,
      service,
      peer: null,
      isPeer: false,
      clock: parts.clock,
      random: parts.random,
      resolve: (facts) => targetNow().resolve(facts),
      emit: parts.emit,
      answer: parts.answer,
    }
    const protocol = spoken === 'h2' ? 'h2' : 'http/1.1'
    await parts.serveHttp(stream, head, context, { protocol, engine: targetNow().config.engine })
    const { bytesRead, bytesWritten } = socket
    return { protocol, destination, service, bytesSent: bytesRead, bytesReceived: bytesWritten }
  }
}

function relayToBackend(parts: OutboundParts): Handler<Detected, Ending> {
  return async ({ stream, head, destination, target, spoken, server, signal }) => {
    const targetNow = (target as () => Target)()
    const { service } = targetNow
    const opened = server ?? (await parts.openBytes(defaultBackend(targetNow), signal))
    const { endpoint } = opened.lease
    const { idleTimeoutMs } = targetNow.config.policy
    const relayed = await relayBytes(stream, opened.stream, { head, idleTimeoutMs, signal })
    opened.lease.done({ ok: true, fault: null, status: 0, durationMs: 0 })
    return {
      protocol: spoken === 'silent' ? 'opaque' : spoken,
      destination,
      service,
      endpoint: endpoint.address,
      peer: endpoint.identity,
      bytesSent: relayed.bytesSent,
      bytesReceived: relayed.bytesReceived,
      reason: relayed.isIdleTimeout ? 'IDLE_TIMEOUT' : null,
    }
  }
}

/** Egress is open until a policy says otherwise; nothing is added to the bytes. */
function relayOutside(parts: OutboundParts): Handler<Detected, Ending> {
  return async ({ stream, head, destination, signal }) => {
    const server = await parts.dial(destination, signal)
    const { bytesSent, bytesReceived } = await relayBytes(stream, server, { head, idleTimeoutMs: null, signal })
    return { protocol: 'opaque', destination, endpoint: destination, bytesSent, bytesReceived }
  }
}

function defaultBackend(target: { readonly defaultBackend: Backend | null }): Backend {
  if (target.defaultBackend === null) throw new FlowError('NO_BACKEND')
  return target.defaultBackend
}
