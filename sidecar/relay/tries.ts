// The tries of a request: one at a time takes a lease, gets a connection and is sent what has come so far; one that failed may be followed
// by another for as long as no answer has gone down.
import type { FaultCode } from '#flow/error.ts'
import type { Route } from '#flow/route.ts'
import type { Fields, HttpStream, ResetCode } from '#flow/stream.ts'
import { type AttemptOwner, UpstreamHalf, wantedFor } from './attempt.ts'
import { detailOfReset, grpcWordOf } from './carried-reset.ts'
import { outcomeStatus } from './grpc.ts'
import { tellNames, tellOriginal } from './original.ts'
import { ExchangeRecord } from './record.ts'
import type { RequestSoFar } from './request-so-far.ts'
import type { StepWalk } from './walk.ts'

export abstract class ExchangeTries extends ExchangeRecord implements AttemptOwner {
  protected route: Route | null = null
  protected current: UpstreamHalf | null = null
  protected isResponseOver = false
  protected upgrade: string | null = null
  // Both from the head on, which is the first that is heard.
  protected walk!: StepWalk
  protected soFar!: RequestSoFar

  get isReplayable(): boolean {
    return this.soFar.isReplayable
  }

  abstract onAttemptHead(attempt: UpstreamHalf, fields: Fields, end: boolean): void
  abstract onAttemptData(bytes: Uint8Array, from: number, to: number, end: boolean): void
  abstract onAttemptTrailers(attempt: UpstreamHalf, fields: Fields): void
  protected abstract finishEarly(): void
  /** Ends an answer that has begun, or never will. */
  protected abstract cut(fault: FaultCode | null, reset: ResetCode): void

  protected startAttempt(): void {
    const group = this.route?.upstream
    const hash = 0
    const lease = group?.lease(
      hash,
      this.attempts.map((attempt) => attempt.lease.endpoint),
    )
    if (group == null || lease === undefined) return this.fail(group?.emptyFault ?? 'NO_ENDPOINT')
    const attempt = new UpstreamHalf(this, lease, this.context.clock.now(), wantedFor(this.version, this.upgrade))
    this.attempts.push(attempt)
    this.current = attempt
    this.hasLeft = false
    attempt.connect(group)
    if (this.current === attempt && attempt.upstream === null) this.holdRequest()
  }

  onConnected(attempt: UpstreamHalf): void {
    const upstream = attempt.upstream as HttpStream
    const fields = this.request.slice()
    this.walk.onAttempt(attempt, fields)
    if (this.isFinished || attempt.isOver) return
    if (attempt.isPeer && this.version !== '2') tellOriginal(fields, this.version)
    this.hasLeft = true
    const goOn = this.soFar.sendTo(upstream, fields)
    this.sendTrailers(attempt)
    if (goOn && !this.soFar.isOver) this.downstream.resume()
  }

  /** A copy for each try, as with the head. */
  protected sendTrailers(attempt: UpstreamHalf): void {
    const { trailers } = this.soFar
    if (trailers === null || attempt.upstream === null) return
    const fields = trailers.slice()
    if (attempt.isPeer && this.version !== '2') tellNames(fields, this.version)
    attempt.upstream.sendTrailers(fields)
  }

  onAttemptFailed(attempt: UpstreamHalf, code: FaultCode, reset: ResetCode = 'closed'): void {
    if (this.isFinished || attempt !== this.current) return
    attempt.isOver = true
    this.current = null
    if (this.isResponseOver) {
      this.endAttempt(attempt, null)
      return this.finishEarly()
    }
    // A call that its server cancels, often at the client's own deadline, has ended as calls do: no fault of the endpoint, and no other
    // answer than the reset itself, of which the client alone knows whether its deadline has passed.
    const isCancelled = this.isGrpc && reset === 'cancel'
    const fault = isCancelled ? null : code
    if (this.isGrpc) attempt.grpcStatus = grpcWordOf(reset)
    this.endAttempt(attempt, fault)
    if (this.isAnswered || isCancelled) return this.cut(fault, reset)
    const verdict = this.walk.onAttemptFailed(attempt, code)
    if (verdict === 'retry') this.retry()
    else if (verdict === 'continue') this.fail(code, detailOfReset(reset), attempt.grpcStatus)
  }

  /** What an endpoint has refused unread may go to it again, on another connection, and is no further try. */
  mayReconnect(attempt: UpstreamHalf): boolean {
    if (this.isFinished || attempt !== this.current || this.isAnswered || !this.isReplayable) return false
    this.hasLeft = false
    this.holdRequest()
    return true
  }

  /** Ends the current try as failed, so that a further one may be made. */
  failAttempt(code: FaultCode): void {
    const attempt = this.current
    if (attempt === null || this.isFinished || this.isAnswered) return
    attempt.abandon('timeout')
    this.onAttemptFailed(attempt, code)
  }

  protected retry(): void {
    const delayMs = this.retryDelayMs
    this.retryDelayMs = 0
    if (delayMs <= 0) return this.startAttempt()
    const generation = ++this.generation
    this.holdRequest()
    this.context.clock.after(delayMs, () => {
      if (generation === this.generation && !this.isFinished) this.startAttempt()
    })
  }

  protected endAttempt(attempt: UpstreamHalf, code: FaultCode | null): void {
    const status = outcomeStatus(attempt)
    const durationMs = this.context.clock.now() - attempt.startedAt
    attempt.lease.done({ ok: code === null && status > 0 && status < 500, fault: code, status, durationMs })
    this.walk.onAttemptEnd(attempt, code)
  }

  protected abandonCurrent(reset: ResetCode, code: FaultCode | null): void {
    const attempt = this.current
    if (attempt === null) return
    this.current = null
    attempt.abandon(reset)
    this.endAttempt(attempt, code)
  }

  onAttemptDrain(): void {
    this.downstream.resume()
  }

  /** Until the connection is there, or a step has its answer. */
  protected holdRequest(): void {
    if (!this.soFar.isOver) this.downstream.pause()
  }
}
