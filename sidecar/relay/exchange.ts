// The engine of a request: joins the two halves and ends exactly once. Its tries are made in tries.ts, the steps that it passes walked in
// walk.ts, what has come of it kept in request-so-far.ts; what is known of it stands in record.ts.
// Invariant: `current` is the only try whose events count; `isFinished` is set before anything is told to others.
import { FAULTS, type FaultCode } from '#flow/error.ts'
import { fieldValue, setField } from '#flow/fields.ts'
import type { Fields, ResetCode, StreamEvents } from '#flow/stream.ts'
import type { UpstreamHalf } from './attempt.ts'
import { detailOfReset, grpcOfReset, towardsClient, towardsServer } from './carried-reset.ts'
import { factsOf, nameDestination } from './facts.ts'
import { grpcStatusOf, isGrpcCall } from './grpc.ts'
import { endToEnd, upgradeOf } from './hop-headers.ts'
import { takeOriginal, tellNames } from './original.ts'
import { RequestSoFar } from './request-so-far.ts'
import { requestEnded } from './summary.ts'
import { ExchangeTries } from './tries.ts'
import { StepWalk } from './walk.ts'

const IGNORE: StreamEvents = { onHead() {}, onData() {}, onTrailers() {}, onReset() {}, onDrain() {} }

export class HttpExchange extends ExchangeTries implements StreamEvents {
  // ---- downstream: the request arrives

  onHead(fields: Fields, end: boolean): void {
    this.startedAt = this.context.clock.now()
    this.startedAtWall = this.context.clock.wall()
    this.#learnVersion(fields)
    this.hasBody = !end
    this.facts = factsOf(fields, this.context.random)
    this.request = endToEnd(fields, this.upgrade !== null)
    if (this.facts.authority === '') nameDestination(this)
    const route = this.context.resolve(this.facts)
    this.route = route
    this.decision = route.decision
    this.policy = route.policy
    this.walk = new StepWalk(route.steps, this)
    this.soFar = new RequestSoFar(end, this.upgrade === null, route.policy.retries.attempts > 0)
    if (route.decision.kind === 'refuse') return this.fail(route.decision.code)
    this.#goOn()
  }

  #learnVersion(fields: Fields): void {
    const { context, downstream } = this
    this.version = context.isPeer ? takeOriginal(fields) : downstream.version
    if (downstream.version !== '2') this.upgrade = upgradeOf(fields)
    this.isGrpc = this.version === '2' && isGrpcCall(fields)
  }

  #goOn(): void {
    const verdict = this.walk.onRequest()
    if (verdict === 'continue') this.startAttempt()
    else if (verdict === 'wait') this.holdRequest()
  }

  proceed(generation: number): void {
    if (generation === this.generation && !this.isFinished && this.current === null) this.#goOn()
  }

  onData(bytes: Uint8Array, from: number, to: number, end: boolean): void {
    this.requestBytes += to - from
    if (end) this.soFar.isOver = true
    this.walk.onActivity()
    const upstream = this.current?.upstream ?? null
    if (upstream !== null) this.soFar.keep(bytes, from, to)
    const goOn = upstream?.sendData(bytes, from, to, end) ?? this.soFar.hold(bytes, from, to)
    if (!goOn) this.downstream.pause()
    if (end) this.#endWhenOver()
  }

  onTrailers(fields: Fields): void {
    this.soFar.isOver = true
    if (this.context.isPeer) takeOriginal(fields)
    // Some servers merge trailers into the head: what may not stand there may not come this way.
    this.soFar.trailers = endToEnd(fields, false)
    if (this.current !== null) this.sendTrailers(this.current)
    this.#endWhenOver()
  }

  onDrain(): void {
    this.current?.upstream?.resume()
  }

  onReset(code: ResetCode): void {
    if (this.isFinished) return
    this.walk.onReset(code)
    const told = towardsServer(code)
    if (this.isGrpc && !this.isResponseOver) this.grpcStatus = grpcOfReset(told)
    this.abandonCurrent(told, null)
    this.#finish()
  }

  // ---- upstream: the answer arrives

  onAttemptHead(attempt: UpstreamHalf, fields: Fields, end: boolean): void {
    if (attempt.isPeer) takeOriginal(fields)
    const status = Number(fieldValue(fields, ':status'))
    if (status < 200 && status !== 101) {
      if (this.version !== '1.0') this.downstream.sendHead(this.#named(endToEnd(fields, false)), false)
      return
    }
    attempt.status = status
    if (this.isGrpc && end) attempt.grpcStatus = grpcStatusOf(fields)
    this.response = endToEnd(fields, status === 101 && this.upgrade !== null)
    const verdict = this.walk.onResponse()
    if (verdict === 'continue') return this.#sendDown(status, end)
    if (verdict !== 'retry') return
    this.abandonCurrent('cancel', null)
    this.retry()
  }

  #sendDown(status: number, end: boolean): void {
    if (status === 101) {
      if (this.upgrade === null) return this.fail('UPSTREAM_PROTOCOL', '101 without a request to upgrade')
      this.soFar.isOver = false
    }
    this.soFar.forget()
    this.status = status
    this.grpcStatus = this.current?.grpcStatus ?? null
    this.isAnswered = true
    if (end) this.isResponseOver = true
    this.downstream.sendHead(this.#named(this.response), end)
    if (end) this.#endWhenOver()
  }

  onAttemptData(bytes: Uint8Array, from: number, to: number, end: boolean): void {
    this.responseBytes += to - from
    if (end) this.isResponseOver = true
    this.walk.onActivity()
    if (!this.downstream.sendData(bytes, from, to, end)) this.current?.upstream?.pause()
    if (end) this.#endWhenOver()
  }

  onAttemptTrailers(attempt: UpstreamHalf, fields: Fields): void {
    this.isResponseOver = true
    if (this.isGrpc) this.grpcStatus = attempt.grpcStatus = grpcStatusOf(fields)
    if (attempt.isPeer) takeOriginal(fields)
    this.downstream.sendTrailers(this.#named(endToEnd(fields, false)))
    this.#endWhenOver()
  }

  /** Another sidecar is told how the names were written, where that may matter to its application. */
  #named(fields: Fields): Fields {
    if (this.context.isPeer && this.version !== '2') tellNames(fields, this.version)
    return fields
  }

  // ---- the end

  fail(code: FaultCode, detail?: string, grpcStatus: number | null = null): void {
    if (this.isFinished) return
    this.reason = code
    this.detail = detail ?? null
    this.abandonCurrent('cancel', code)
    if (this.isAnswered) this.#resetDown('closed')
    else this.#answerLocally(code, grpcStatus)
    this.finishEarly()
  }

  protected override cut(fault: FaultCode | null, reset: ResetCode): void {
    this.reason = fault
    this.detail = detailOfReset(reset) ?? null
    this.#resetDown(towardsClient(reset))
    this.#finish()
  }

  #resetDown(code: ResetCode): void {
    if (this.isGrpc) this.grpcStatus = grpcOfReset(code)
    this.downstream.reset(code)
  }

  /** What is left of the request is the codec's to discard: it must not stay paused. On HTTP/2 its client is told to stop. */
  protected override finishEarly(): void {
    this.#finish()
    if (!this.soFar.isOver && this.downstream.version === '2') this.downstream.reset('cancel')
    else this.downstream.resume()
  }

  #answerLocally(code: FaultCode, grpcStatus: number | null): void {
    const { head, body } = this.context.answer(code, this.isGrpc)
    const fields = head.slice()
    this.isAnswered = true
    this.status = this.isGrpc ? 200 : FAULTS[code].status
    this.grpcStatus = this.isGrpc ? (grpcStatus ?? FAULTS[code].grpc) : null
    if (this.isGrpc && grpcStatus !== null) setField(fields, 'grpc-status', String(grpcStatus))
    const isBodyless = this.facts.method === 'HEAD' || body.length === 0
    this.downstream.sendHead(fields, isBodyless)
    if (isBodyless) return
    this.responseBytes += body.length
    this.downstream.sendData(body, 0, body.length, true)
  }

  #endWhenOver(): void {
    if (!this.soFar.isOver || !this.isResponseOver || this.isFinished) return
    const attempt = this.current
    if (attempt !== null) {
      attempt.isOver = true
      this.current = null
      this.endAttempt(attempt, null)
    }
    this.#finish()
  }

  #finish(): void {
    if (this.isFinished) return
    this.isFinished = true
    this.generation++
    this.soFar.forget()
    this.downstream.events = IGNORE
    this.walk.onEnd()
    this.context.emit(requestEnded(this))
  }
}
