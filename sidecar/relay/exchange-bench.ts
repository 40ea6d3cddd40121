// An exchange on a bench: both halves held by hand, connections given when the test says so.

import type { RequestEnded } from '#flow/event.ts'
import type { Step } from '#flow/exchange.ts'
import type { AcquireDone, Route, Wanted } from '#flow/route.ts'
import type { Fields, HttpClientConnection, HttpStream, ResetCode, StreamEvents } from '#flow/stream.ts'
import type { Endpoint, Outcome } from '#flow/upstream.ts'
import { ManualClock } from '#shared/clock.ts'
import type { Decision, RequestPolicy } from '#shared/decide/config.ts'
import type { SpiffeId } from '#shared/identity/spiffe-id.ts'
import { HttpExchange } from './exchange.ts'

const SILENT: StreamEvents = { onHead() {}, onData() {}, onTrailers() {}, onReset() {}, onDrain() {} }

/** A stream that writes down what it is told. */
class HeldStream implements HttpStream {
  readonly said: string[] = []
  readonly version: HttpStream['version']
  events: StreamEvents
  goOn = true
  isPaused = false

  constructor(version: HttpStream['version'], events: StreamEvents = SILENT) {
    this.version = version
    this.events = events
  }
  sendHead(fields: Fields, end: boolean): void {
    this.said.push(`head ${fields.join(' ')}${end ? ' end' : ''}`)
  }
  sendData(bytes: Uint8Array, from: number, to: number, end: boolean): boolean {
    this.said.push(`data ${Buffer.from(bytes.subarray(from, to)).toString()}${end ? ' end' : ''}`)
    return this.goOn
  }
  sendTrailers(fields: Fields): void {
    this.said.push(`trailers ${fields.join(' ')}`)
  }
  reset(code: ResetCode): void {
    this.said.push(`reset ${code}`)
  }
  pause(): void {
    this.isPaused = true
  }
  resume(): void {
    this.isPaused = false
  }
}

const policy = (attempts: number): RequestPolicy => ({
  retries: {
    attempts,
    statuses: [503],
    methods: ['GET', 'PUT'],
    perTryTimeoutMs: null,
    backoffBaseMs: 0,
    budgetPercent: 100,
    budgetMinPerSecond: 100,
  },
  requestTimeoutMs: null,
  idleTimeoutMs: null,
  circuitBreaker: null,
  from: [],
})
const endpoint = (host: string, identity: SpiffeId | null): Endpoint => ({
  address: { host, port: 80 },
  weight: 1,
  identity,
  pod: host,
})

/** What each side speaks; default: HTTP/1.1 in clear. */
interface Given {
  readonly downstream?: HttpStream['version']
  readonly upstream?: HttpStream['version']
  /** Whether the downstream connection is a sidecar's. */
  readonly isPeer?: boolean
  /** Of the endpoint. */
  readonly identity?: SpiffeId
}
const FORWARD = { kind: 'forward', backend: 'shop/a:80', rule: null } as const

export class Bench {
  readonly clock = new ManualClock()
  readonly downstream: HeldStream
  readonly upstreams: HeldStream[] = []
  readonly outcomes: Outcome[] = []
  readonly ended: RequestEnded[] = []
  readonly waiting: AcquireDone[] = []
  readonly wanted: Wanted[] = []
  connectsAtOnce = true
  readonly exchange: HttpExchange
  readonly #given: Given

  constructor(steps: readonly Step[] = [], attempts = 0, decision: Decision | null = null, given: Given = {}) {
    this.#given = given
    this.downstream = new HeldStream(given.downstream ?? '1.1')
    const forward: Decision = { ...FORWARD, policy: policy(attempts) }
    const chosen = decision ?? forward
    const isRefused = chosen.kind === 'refuse'
    const route: Route = {
      decision: chosen,
      policy: policy(attempts),
      steps,
      upstream: isRefused
        ? null
        : { lease: (_hash, tried) => this.#lease(tried), acquire: (_to, wanted, done) => this.#acquire(wanted, done) },
    }
    this.exchange = new HttpExchange(
      {
        direction: 'outbound',
        destination: { host: '10.0.0.9', port: 80 },
        source: null,
        service: 'shop/a',
        peer: null,
        isPeer: given.isPeer === true,
        clock: this.clock,
        random: () => 0.5,
        resolve: () => route,
        emit: (event) => this.ended.push(event as RequestEnded),
        answer: (code, isGrpc) =>
          isGrpc
            ? { head: [':status', '200', 'grpc-status', '14'], body: Buffer.alloc(0) }
            : { head: [':status', '503', 'x-weft-reason', code], body: Buffer.from(code) },
      },
      this.downstream,
    )
    this.downstream.events = this.exchange
  }

  #lease(tried: readonly Endpoint[]) {
    const at = endpoint(`10.0.0.${tried.length + 1}`, this.#given.identity ?? null)
    return { endpoint: at, done: (outcome: Outcome) => this.outcomes.push(outcome) }
  }

  #acquire(wanted: Wanted, done: AcquireDone): () => void {
    this.wanted.push(wanted)
    this.waiting.push(done)
    if (this.connectsAtOnce) this.connect()
    return () => {}
  }

  connect(): void {
    const connection: HttpClientConnection = {
      open: (events) => {
        const stream = new HeldStream(this.#given.upstream ?? '1.1', events)
        this.upstreams.push(stream)
        return stream
      },
      capacity: 1,
      active: 0,
      isLeaving: false,
      isIdle: true,
      onIdle() {},
      onCapacity() {},
      onLeaving() {},
      onGone() {},
      drain() {},
      destroy() {},
    }
    this.waiting.shift()?.(null, connection, false)
  }

  request(method: string, end: boolean, ...fields: string[]): void {
    this.downstream.events.onHead(
      [':method', method, ':scheme', 'http', ':authority', 'a', ':path', '/x?y=1', ...fields],
      end,
    )
  }
  body(text: string, end = false): void {
    const bytes = Buffer.from(text)
    this.downstream.events.onData(bytes, 0, bytes.length, end)
  }
  get upstream(): HeldStream {
    return this.upstreams.at(-1) as HeldStream
  }
  answer(status: string, end: boolean, ...fields: string[]): void {
    this.upstream.events.onHead([':status', status, ...fields], end)
  }
}
