// A request in flight. One object, filled in as it goes; each step reads what earlier steps wrote.
import type { Span } from '@opentelemetry/api'
import type { Address } from '#shared/address.ts'
import type { Decision, RequestFacts, RequestPolicy } from '#shared/decide/config.ts'
import type { SpiffeId } from '#shared/identity/spiffe-id.ts'
import type { Direction } from './connection.ts'
import type { FaultCode } from './error.ts'
import type { Fields, HttpStream, ResetCode } from './stream.ts'
import type { Lease } from './upstream.ts'

export type { Span }

/** One try. */
export interface Attempt {
  readonly lease: Lease
  /** null until the connection is there. */
  upstream: HttpStream | null
  readonly startedAt: number
  /** Status of the endpoint's final head; 0 before. */
  status: number
  /** How the call ended by the endpoint's word; null where it is none of gRPC, or was not told. */
  grpcStatus: number | null
  /** True on a connection that carried requests before: it may have gone stale. */
  isReused: boolean
  span: Span | null
}

export interface Exchange {
  readonly direction: Direction
  readonly downstream: HttpStream
  readonly destination: Address
  readonly source: Address | null
  /** "namespace/name" of the addressed service. */
  readonly service: string | null
  readonly peer: SpiffeId | null
  /** The first head sent down wins. The last one is the current one. */
  readonly attempts: Attempt[]
  /** In which the application spoke; another sidecar's connection is HTTP/2 whatever it was. */
  version: HttpStream['version']
  /** A call of gRPC: its end is told by grpc-status. */
  readonly isGrpc: boolean
  /** What the client is told; null where it is no call, or nothing is said yet. */
  grpcStatus: number | null
  facts: RequestFacts
  decision: Decision
  policy: RequestPolicy
  /** The head as it goes up; steps may change it. */
  request: Fields
  /** The head as it goes down, while onResponse runs. */
  response: Fields
  /** Clock.now() at the head. */
  startedAt: number
  status: number
  /** More than a head is to come, or has come; said by the head. */
  hasBody: boolean
  requestBytes: number
  responseBytes: number
  reason: FaultCode | null
  detail: string | null
  /** True while the whole request so far is kept, so that another try can send it again. */
  isReplayable: boolean
  /** True once a byte of this try's request may have left. */
  hasLeft: boolean
  /** True once a byte of an answer went down: nothing can be retried any more. */
  isAnswered: boolean
  /** Set by a step that says retry: how long to wait before that try; 0: at once. */
  retryDelayMs: number
  span: Span | null
  generation: number
  /** Goes on after a step said wait; a stale generation does nothing. */
  proceed(generation: number): void
  /** Ends it with our own answer, or a reset where the answer has begun. */
  fail(code: FaultCode, detail?: string): void
  /** Ends the current try alone, as failed with that code: onAttemptFailed may then make another. */
  failAttempt(code: FaultCode): void
}

/** wait: the step calls proceed() later. retry: make a further try (only from onResponse and onAttemptFailed). */
export type Verdict = 'continue' | 'answered' | 'wait' | 'retry'

/** The steps of a route are an array made when the configuration arrives; a request walks it with an index. */
export interface Step {
  readonly name: string
  onRequest?(exchange: Exchange): Verdict
  /** Before a try's head is sent; `fields` is that try's own copy. */
  onAttempt?(exchange: Exchange, attempt: Attempt, fields: Fields): void
  /** The final head of a try; 1xx heads do not come here. */
  onResponse?(exchange: Exchange): Verdict
  /** A try failed without a final head: connect failure, reset, per-try timeout. */
  onAttemptFailed?(exchange: Exchange, attempt: Attempt, code: FaultCode): Verdict
  onAttemptEnd?(exchange: Exchange, attempt: Attempt, code: FaultCode | null): void
  /** A byte went in either direction: keeps idle timers quiet. */
  onActivity?(exchange: Exchange): void
  onReset?(exchange: Exchange, code: ResetCode): void
  /** Exactly once for each exchange that passed onRequest of this step. */
  onEnd?(exchange: Exchange): void
}
