// One discovery stream: the hello, the wait for a model, then a session until either side ends it.
import { Metadata, type ServerDuplexStream, status } from '@grpc/grpc-js'
import type { Clock } from '#shared/clock.ts'
import type { ControlMessage, SidecarMessage } from '#shared/contract/discovery.ts'
import type { Log } from '#shared/log.ts'
import type { Watch } from '#shared/watch.ts'
import { identifyPeer, type Peer, requireOwnPod } from './caller.ts'
import { type Contents, createContents } from './content.ts'
import type { EndpointHistory } from './delta.ts'
import { ProtocolError } from './protocol-error.ts'
import { Session } from './session.ts'
import type { Sidecars } from './sidecars.ts'
import type { Turnover } from './turnover.ts'
import type { ModelView } from './view.ts'

export interface ServeLimits {
  readonly maxSubscriptions: number
  readonly maxStreamsPerPod: number
  readonly maxStreamsPerIdentity: number
}

export interface StreamParts {
  readonly model: Watch<ModelView | undefined>
  /** The contents of the current model, shared by all streams. */
  contentsOf(view: ModelView): Contents
  readonly history: EndpointHistory
  readonly sidecars: Sidecars
  readonly trustDomain: string
  readonly software: string
  readonly limits: ServeLimits
  readonly turnover: Turnover
  readonly clock: Clock
  readonly log: Log
}

type Call = ServerDuplexStream<SidecarMessage, ControlMessage>

const HELLO_MS = 5_000
/** setTimeout counts in 31 bits. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** The end of a stream: once, from whichever side, with everything cleaned up. */
interface Life {
  readonly cleanups: (() => void)[]
  finish(): void
  end(error: ProtocolError): void
  /** Runs a piece of work; what it throws ends the stream. Does nothing when the stream is over. */
  guard(run: () => void): void
}

function createLife(call: Call, log: Log): Life {
  let isOver = false
  const life: Life = {
    cleanups: [],
    finish() {
      isOver = true
      for (const cleanup of life.cleanups.splice(0)) cleanup()
    },
    end(error) {
      if (isOver) return
      life.finish()
      log.info({ code: status[error.code], reason: error.message }, 'ended the stream of a sidecar')
      call.emit('error', Object.assign(new Error(error.message), { code: error.code, details: error.message }))
    },
    guard(run) {
      try {
        if (!isOver) run()
      } catch (error) {
        if (error instanceof ProtocolError) return life.end(error)
        log.error({ err: error }, 'a stream failed')
        life.end(new ProtocolError(status.INTERNAL, 'control failed; its log says how'))
      }
    },
  }
  return life
}

export interface ServedStream {
  end(error: ProtocolError): void
  /** Tells the sidecar to open another stream at a random time within this, and then to close this one. */
  move(withinMs: number): void
}

export function serveStream(call: Call, parts: StreamParts): ServedStream {
  const life = createLife(call, parts.log)
  life.guard(() => {
    const peer = identifyPeer(call.getAuthContext()?.sslPeerCertificate?.raw, parts.trustDomain)
    const lifetime = Math.min(LONGEST_TIMER_MS, peer.expiresAt.getTime() - parts.clock.wall())
    const expired = new ProtocolError(status.UNAUTHENTICATED, 'the client certificate has expired')
    life.cleanups.push(parts.clock.after(lifetime, () => life.end(expired)))
    // The caller learns at once that it has reached control, although the model may take its time.
    call.sendMetadata(new Metadata())
    converse(call, parts, { peer, life })
  })
  call.on('cancelled', life.finish)
  call.on('error', life.finish)
  call.on('end', () => {
    life.finish()
    call.end()
  })
  return { end: life.end, move: (withinMs) => life.guard(() => call.write({ move: { withinMs } })) }
}

function converse(call: Call, parts: StreamParts, { peer, life }: { readonly peer: Peer; readonly life: Life }): void {
  let session: Session | null = null
  const noHello = new ProtocolError(status.DEADLINE_EXCEEDED, `no hello within ${HELLO_MS} ms`)
  const stopWaiting = parts.clock.after(HELLO_MS, () => life.end(noHello))
  life.cleanups.push(stopWaiting)
  const greet = (hello: Hello | undefined) => {
    if (hello === undefined) throw new ProtocolError(status.INVALID_ARGUMENT, 'the first message is no hello')
    stopWaiting()
    call.pause()
    const begin = (view: ModelView) => {
      session = open(call, parts, { peer, hello, view, life })
      call.resume()
    }
    whenModel(parts.model, life.cleanups, (view) => life.guard(() => begin(view)))
  }
  call.on('data', (message: SidecarMessage) =>
    life.guard(() => (session === null ? greet(message.hello) : session.receive(message))),
  )
  call.on('drain', () => life.guard(() => session?.resume()))
}

function whenModel(
  model: Watch<ModelView | undefined>,
  cleanups: (() => void)[],
  run: (view: ModelView) => void,
): void {
  if (model.current !== undefined) return run(model.current)
  const stop = model.subscribe((view) => {
    if (view === undefined) return
    stop()
    run(view)
  })
  cleanups.push(stop)
}

type Hello = NonNullable<SidecarMessage['hello']>

interface Opening {
  readonly peer: Peer
  readonly hello: Hello
  readonly view: ModelView
  readonly life: Life
}

function open(call: Call, parts: StreamParts, { peer, hello, view, life }: Opening): Session {
  const { sidecars, limits } = parts
  const pod = requireOwnPod(view, hello.pod, peer)
  if (sidecars.countOf(pod) >= limits.maxStreamsPerPod) {
    throw new ProtocolError(status.RESOURCE_EXHAUSTED, `pod "${pod}" has ${limits.maxStreamsPerPod} streams already`)
  }
  if (sidecars.countOfIdentity(peer.id) >= limits.maxStreamsPerIdentity) {
    throw new ProtocolError(status.RESOURCE_EXHAUSTED, `${peer.id} has ${limits.maxStreamsPerIdentity} streams already`)
  }
  const session = new Session({
    caller: { namespace: peer.namespace, pod },
    contents: parts.contentsOf(view),
    history: parts.history,
    maxSubscriptions: limits.maxSubscriptions,
    send: (message) => call.write(message),
  })
  const welcome = createWelcome(call, parts)
  const unsubscribe = parts.model.subscribe((next) =>
    life.guard(() => {
      if (next === undefined) return
      // A pod that is gone may still be finishing; one that now runs as somebody else may see no more.
      if (next.pod(pod) !== null) requireOwnPod(next, pod, peer)
      session.serve(parts.contentsOf(next))
      welcome()
    }),
  )
  const connectedAt = parts.clock.wall()
  const remove = sidecars.add({
    pod,
    identity: peer.id,
    software: hello.software.slice(0, 100),
    addresses: hello.addresses.slice(0, 8).map((address) => address.slice(0, 100)),
    connectedAt,
    openedAtMs: hello.openedAtMs || connectedAt,
    revision: () => session.revision,
    subscriptions: () => session.status(),
  })
  const stopAging = parts.turnover.age(() => life.guard(() => call.write({ move: { withinMs: 0 } })))
  life.cleanups.push(unsubscribe, remove, stopAging, () => session.close())
  welcome()
  return session
}

/** Says how to come back after a loss: at first, and again when that has changed by much. */
function createWelcome(call: Call, { turnover, software }: StreamParts): () => void {
  let told = 0
  return () => {
    const spreadMs = turnover.spreadMs()
    if (spreadMs <= told * 2 && spreadMs >= told / 2) return
    told = spreadMs
    call.write({ welcome: { software, spreadMs } })
  }
}

/** One set of contents for all models of one origin, whoever asks first. */
export function contentsByModel(): (view: ModelView) => Contents {
  const made = new WeakMap<object, Contents>()
  return (view) => {
    const origin = view.origin ?? view
    const contents = made.get(origin) ?? createContents(view)
    made.set(origin, contents)
    return contents
  }
}
