// What is known of a request in flight: all that the steps read and what its event tells at the end. The engine in exchange.ts fills it in.
import type { Direction } from '#flow/connection.ts'
import type { FaultCode } from '#flow/error.ts'
import type { Exchange, Span } from '#flow/exchange.ts'
import type { Fields, HttpStream } from '#flow/stream.ts'
import type { Address } from '#shared/address.ts'
import type { Decision, RequestFacts, RequestPolicy } from '#shared/decide/config.ts'
import type { SpiffeId } from '#shared/identity/spiffe-id.ts'
import type { UpstreamHalf } from './attempt.ts'
import type { ExchangeContext } from './context.ts'
import type { Version } from './original.ts'

const NO_DECISION: Decision = { kind: 'refuse', code: 'NO_ROUTE', rule: null }

export abstract class ExchangeRecord implements Exchange {
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
  hasLeft = false
  isAnswered = false
  isFinished = false
  span: Span | null = null
  generation = 0
  retryDelayMs = 0

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

  abstract readonly isReplayable: boolean
  abstract proceed(generation: number): void
  /** `grpcStatus`: what a call is told where the fault's own would say less. */
  abstract fail(code: FaultCode, detail?: string, grpcStatus?: number | null): void
  abstract failAttempt(code: FaultCode): void
}
