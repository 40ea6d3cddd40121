// The engine of a request: walks the steps of its route, makes tries, joins the two halves, ends exactly once.
// Invariant: `current` is the only try whose events count; `isFinished` is set before anything is told to others.
import type { Direction } from '#flow/connection.ts'
import { FAULTS, type FaultCode } from '#flow/error.ts'
import type { Exchange, Span, Step } from '#flow/exchange.ts'
import { fieldValue } from '#flow/fields.ts'
import type { Route } from '#flow/route.ts'
import type { Fields, HttpStream, ResetCode, StreamEvents } from '#flow/stream.ts'
import type { Address } from '#shared/address.ts'
import type { Decision, RequestFacts, RequestPolicy } from '#shared/decide/config.ts'
import type { SpiffeId } from '#shared/identity/spiffe-id.ts'
import { type AttemptOwner, UpstreamHalf, wantedFor } from './attempt.ts'
import type { ExchangeContext } from './context.ts'
import { factsOf, nameDestination } from './facts.ts'
import { grpcStatusOf, isGrpcCall, outcomeStatus } from './grpc.ts'
import { endToEnd, upgradeOf } from './hop-headers.ts'
import { takeOriginal, tellNames, tellOriginal, type Version } from './original.ts'
import { ReplayBuffer } from './replay.ts'
import { requestEnded } from './summary.ts'

const NO_DECISION: Decision = { kind: 'refuse', code: 'NO_ROUTE', rule: null }
const NO_STEPS: readonly Step[] = []
const IGNORE: StreamEvents = { onHead() {}, onData() {}, onTrailers() {}, onReset() {}, onDrain() {} }

export class HttpExchange implements Exchange, StreamEvents, AttemptOwner {
  readonly context: ExchangeContext
  readonly downstream: HttpStream
  readonly attempts: UpstreamHalf[] = []
  facts!: RequestFacts
  decision: Decision = NO_DECISION
  policy!: RequestPolicy
  version: Version = '1.1'
  isGrpc = false
  grpcStatus: number | null = null
  request: Fields = []
  response: Fields = []
  startedAt = 0
  startedAtWall = 0
  status = 0
  hasBody = false
  requestBytes = 0
  responseBytes = 0
  reason: FaultCode | null = null
  detail: string | null = null
  isReplayable = false
  hasLeft = false
  isAnswered = false
  span: Span | null = null
  generation = 0
  retryDelayMs = 0
  #route: Route | null = null
  #steps: readonly Step[] = NO_STEPS
  #nextStep = 0
  #current: UpstreamHalf | null = null
  #body: ReplayBuffer | null = null
  #trailers: Fields | null = null
  #isRequestOver = false
  #isResponseOver = false
  #isTunnel = false
  #isFinished = false
  #hasActivitySteps = false
  /** Whether the body is kept after it has left; before that it always is. */
  #mayRepeat = false
  #upgrade: string | null = null

  constructor(context: ExchangeContext, downstream: HttpStream) {
    this.context = context
    this.downstream = downstream
  }

  get direction(): Direction {
    return this.context.direction
  }
  get destination(): Address {
    return this.context.destination
  }
  get source(): Address | null {
    return this.context.source
  }
  get service(): string | null {
    return this.context.service
  }
  get peer(): SpiffeId | null {
    return this.context.peer
  }

  // ---- downstream: the request arrives

  onHead(fields: Fields, end: boolean): void {
    this.startedAt = this.context.clock.now()
    this.startedAtWall = this.context.clock.wall()
    this.#isRequestOver = end
    this.#learnVersion(fields)
    this.hasBody = !end
    this.facts = factsOf(fields, this.context.random)
    this.request = endToEnd(fields, this.#upgrade !== null)
    if (this.facts.authority === '') nameDestination(this)
    const route = this.context.resolve(this.facts)
    this.#route = route
    this.decision = route.decision
    this.policy = route.policy
    this.#steps = route.steps
    this.#hasActivitySteps = route.steps.some((step) => step.onActivity !== undefined)
    this.isReplayable = this.#upgrade === null
    this.#mayRepeat = route.policy.retries.attempts > 0
    if (route.decision.kind === 'refuse') return this.fail(route.decision.code)
    this.#walk()
  }

  #learnVersion(fields: Fields): void {
    const { context, downstream } = this
    this.version = context.isPeer ? takeOriginal(fields) : downstream.version
    if (downstream.version !== '2') this.#upgrade = upgradeOf(fields)
    this.isGrpc = this.version === '2' && isGrpcCall(fields)
  }

  #walk(): void {
    while (this.#nextStep < this.#steps.length) {
      const step = this.#steps[this.#nextStep++] as Step
      const verdict = step.onRequest?.(this) ?? 'continue'
      if (this.#isFinished || verdict === 'answered') return
      if (verdict === 'wait') {
        if (!this.#isRequestOver) this.downstream.pause()
        return
      }
    }
    this.#startAttempt()
  }

  proceed(generation: number): void {
    if (generation === this.generation && !this.#isFinished && this.#current === null) this.#walk()
  }

  onData(bytes: Uint8Array, from: number, to: number, end: boolean): void {
    this.requestBytes += to - from
    if (end) this.#isRequestOver = true
    if (this.#hasActivitySteps) this.#touch()
    const upstream = this.#isFinished ? null : (this.#current?.upstream ?? null)
    if (this.#isTunnel || !this.#keepForReplay(bytes, from, to, upstream)) {
      if (upstream?.sendData(bytes, from, to, end) === false) this.downstream.pause()
    }
    if (end) this.#endWhenOver()
  }

  /** Returns true when the bytes wait in the buffer and must not be sent now. */
  #keepForReplay(bytes: Uint8Array, from: number, to: number, upstream: HttpStream | null): boolean {
    if (upstream === null) {
      this.#body ??= new ReplayBuffer()
      this.#body.keep(bytes, from, to)
      if (!this.#body.isWithinLimit) this.downstream.pause()
      return true
    }
    if (!this.isReplayable) return false
    this.#body ??= new ReplayBuffer()
    this.#body.keep(bytes, from, to)
    if (!this.#body.isWithinLimit) this.#stopReplay()
    return false
  }

  #stopReplay(): void {
    this.isReplayable = false
    this.#body = null
  }

  onTrailers(fields: Fields): void {
    this.#isRequestOver = true
    // Some servers merge trailers into the head: what may not stand there may not come this way.
    const trailers = endToEnd(fields, false)
    this.#trailers = trailers
    this.#current?.upstream?.sendTrailers(trailers)
    this.#endWhenOver()
  }

  onDrain(): void {
    this.#current?.upstream?.resume()
  }

  onReset(code: ResetCode): void {
    if (this.#isFinished) return
    for (let i = 0; i < this.#nextStep; i++) this.#steps[i]?.onReset?.(this, code)
    this.#abandonCurrent('cancel', null)
    this.#finish()
  }

  // ---- a try

  #startAttempt(): void {
    const group = this.#route?.upstream
    const hash = 0
    const lease = group?.lease(
      hash,
      this.attempts.map((attempt) => attempt.lease.endpoint),
    )
    if (group == null || lease === undefined) return this.fail(group?.emptyFault ?? 'NO_ENDPOINT')
    const attempt = new UpstreamHalf(this, lease, this.context.clock.now(), wantedFor(this.version, this.#upgrade))
    this.attempts.push(attempt)
    this.#current = attempt
    this.hasLeft = false
    attempt.connect(group)
    if (this.#current === attempt && attempt.upstream === null && !this.#isRequestOver) this.downstream.pause()
  }

  onConnected(attempt: UpstreamHalf): void {
    const upstream = attempt.upstream as HttpStream
    const fields = this.request.slice()
    for (const step of this.#steps) step.onAttempt?.(this, attempt, fields)
    if (this.#isFinished || attempt.isOver) return
    if (attempt.isPeer && this.version !== '2') tellOriginal(fields, this.version)
    const body = this.#body
    const hasBody = body !== null && body.sizeBytes > 0
    this.hasLeft = true
    upstream.sendHead(fields, this.#isRequestOver && !hasBody && this.#trailers === null)
    let goOn = true
    if (hasBody) {
      const end = this.#isRequestOver && this.#trailers === null
      goOn = body.sendTo((bytes, from, to, last) => upstream.sendData(bytes, from, to, last), end)
    }
    const mayRepeat = this.#mayRepeat || upstream.version === '2'
    if (!mayRepeat || body?.isWithinLimit === false) this.#stopReplay()
    if (this.#trailers !== null) upstream.sendTrailers(this.#trailers)
    if (goOn && !this.#isRequestOver) this.downstream.resume()
  }

  onAttemptFailed(attempt: UpstreamHalf, code: FaultCode): void {
    if (this.#isFinished || attempt !== this.#current) return
    attempt.isOver = true
    this.#current = null
    this.#endAttempt(attempt, this.#isResponseOver ? null : code)
    if (this.#isResponseOver) return this.#finishEarly()
    if (this.isAnswered) {
      this.reason = code
      this.downstream.reset('closed')
      return this.#finish()
    }
    for (let i = 0; i < this.#nextStep; i++) {
      const verdict = this.#steps[i]?.onAttemptFailed?.(this, attempt, code) ?? 'continue'
      if (this.#isFinished) return
      if (verdict === 'retry') return this.#retry()
    }
    this.fail(code)
  }

  /** What an endpoint has refused unread may go to it again, on another connection, and is no further try. */
  mayReconnect(attempt: UpstreamHalf): boolean {
    if (this.#isFinished || attempt !== this.#current || this.isAnswered || !this.isReplayable) return false
    this.hasLeft = false
    if (!this.#isRequestOver) this.downstream.pause()
    return true
  }

  /** Ends the current try as failed, so that a further one may be made. */
  failAttempt(code: FaultCode): void {
    const attempt = this.#current
    if (attempt === null || this.#isFinished || this.isAnswered) return
    attempt.abandon('timeout')
    this.onAttemptFailed(attempt, code)
  }

  #retry(): void {
    const delayMs = this.retryDelayMs
    this.retryDelayMs = 0
    if (delayMs <= 0) return this.#startAttempt()
    const generation = ++this.generation
    if (!this.#isRequestOver) this.downstream.pause()
    this.context.clock.after(delayMs, () => {
      if (generation === this.generation && !this.#isFinished) this.#startAttempt()
    })
  }

  #endAttempt(attempt: UpstreamHalf, code: FaultCode | null): void {
    const status = outcomeStatus(attempt)
    const durationMs = this.context.clock.now() - attempt.startedAt
    attempt.lease.done({ ok: code === null && status > 0 && status < 500, fault: code, status, durationMs })
    for (const step of this.#steps) step.onAttemptEnd?.(this, attempt, code)
  }

  #abandonCurrent(reset: ResetCode, code: FaultCode | null): void {
    const attempt = this.#current
    if (attempt === null) return
    this.#current = null
    attempt.abandon(reset)
    this.#endAttempt(attempt, code)
  }

  // ---- upstream: the answer arrives

  onAttemptHead(attempt: UpstreamHalf, fields: Fields, end: boolean): void {
    if (attempt.isPeer) takeOriginal(fields)
    const status = Number(fieldValue(fields, ':status'))
    if (status < 200 && status !== 101) {
      if (this.version !== '1.0') this.downstream.sendHead(endToEnd(fields, false), false)
      return
    }
    attempt.status = status
    if (this.isGrpc && end) attempt.grpcStatus = grpcStatusOf(fields)
    this.response = endToEnd(fields, status === 101 && this.#upgrade !== null)
    for (let i = 0; i < this.#nextStep; i++) {
      const verdict = this.#steps[i]?.onResponse?.(this) ?? 'continue'
      if (this.#isFinished || verdict === 'answered') return
      if (verdict === 'retry') {
        this.#abandonCurrent('cancel', null)
        return this.#retry()
      }
    }
    this.#sendDown(status, end)
  }

  #sendDown(status: number, end: boolean): void {
    if (status === 101) {
      if (this.#upgrade === null) return this.fail('UPSTREAM_PROTOCOL', '101 without a request to upgrade')
      this.#isTunnel = true
      this.#isRequestOver = false
    }
    this.#stopReplay()
    this.status = status
    this.grpcStatus = this.#current?.grpcStatus ?? null
    this.isAnswered = true
    if (end) this.#isResponseOver = true
    if (this.context.isPeer && this.version !== '2') tellNames(this.response, this.version)
    this.downstream.sendHead(this.response, end)
    if (end) this.#endWhenOver()
  }

  onAttemptData(bytes: Uint8Array, from: number, to: number, end: boolean): void {
    this.responseBytes += to - from
    if (end) this.#isResponseOver = true
    if (this.#hasActivitySteps) this.#touch()
    if (!this.downstream.sendData(bytes, from, to, end)) this.#current?.upstream?.pause()
    if (end) this.#endWhenOver()
  }

  onAttemptTrailers(attempt: UpstreamHalf, fields: Fields): void {
    this.#isResponseOver = true
    if (this.isGrpc) this.grpcStatus = attempt.grpcStatus = grpcStatusOf(fields)
    this.downstream.sendTrailers(fields)
    this.#endWhenOver()
  }

  onAttemptDrain(): void {
    this.downstream.resume()
  }

  // ---- the end

  #touch(): void {
    for (const step of this.#steps) step.onActivity?.(this)
  }

  fail(code: FaultCode, detail?: string): void {
    if (this.#isFinished) return
    this.reason = code
    this.detail = detail ?? null
    this.#abandonCurrent('cancel', code)
    if (this.isAnswered) this.downstream.reset('closed')
    else this.#answerLocally(code)
    this.#finishEarly()
  }

  /** What is left of the request is the codec's to discard: it must not stay paused. On HTTP/2 its client is told to stop. */
  #finishEarly(): void {
    this.#finish()
    if (!this.#isRequestOver && this.downstream.version === '2') this.downstream.reset('cancel')
    else this.downstream.resume()
  }

  #answerLocally(code: FaultCode): void {
    const { head, body } = this.context.answer(code, this.isGrpc)
    this.isAnswered = true
    this.status = this.isGrpc ? 200 : FAULTS[code].status
    this.grpcStatus = this.isGrpc ? FAULTS[code].grpc : null
    const isBodyless = this.facts.method === 'HEAD' || body.length === 0
    this.downstream.sendHead(head.slice(), isBodyless)
    if (isBodyless) return
    this.responseBytes += body.length
    this.downstream.sendData(body, 0, body.length, true)
  }

  #endWhenOver(): void {
    if (!this.#isRequestOver || !this.#isResponseOver || this.#isFinished) return
    const attempt = this.#current
    if (attempt !== null) {
      attempt.isOver = true
      this.#current = null
      this.#endAttempt(attempt, null)
    }
    this.#finish()
  }

  #finish(): void {
    if (this.#isFinished) return
    this.#isFinished = true
    this.generation++
    this.#body = null
    this.downstream.events = IGNORE
    for (let i = 0; i < this.#nextStep; i++) this.#steps[i]?.onEnd?.(this)
    this.context.emit(requestEnded(this))
  }
}
