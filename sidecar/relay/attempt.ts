// One try of a request: the upstream half of an exchange. It tells its exchange what happens and then falls silent.
import type { FaultCode, FlowError } from '#flow/error.ts'
import type { Attempt, Span } from '#flow/exchange.ts'
import type { UpstreamGroup, Wanted } from '#flow/route.ts'
import type { Fields, HttpClientConnection, HttpStream, ResetCode, StreamEvents } from '#flow/stream.ts'
import type { Lease } from '#flow/upstream.ts'
import { faultOfReset } from './carried-reset.ts'

/** What a try reports; each call names the try, since an abandoned one may still speak for a moment. */
export interface AttemptOwner {
  onConnected(attempt: UpstreamHalf): void
  onAttemptHead(attempt: UpstreamHalf, fields: Fields, end: boolean): void
  onAttemptData(bytes: Uint8Array, from: number, to: number, end: boolean): void
  onAttemptTrailers(attempt: UpstreamHalf, fields: Fields): void
  /** `reset`: how its stream ended, where it had one. */
  onAttemptFailed(attempt: UpstreamHalf, code: FaultCode, reset?: ResetCode): void
  onAttemptDrain(): void
  /** The endpoint refused it unread. True: it may be sent again as if it had never been. */
  mayReconnect(attempt: UpstreamHalf): boolean
}

export function wantedFor(version: HttpStream['version'], upgrade: string | null): Wanted {
  if (upgrade !== null) return 'upgrade'
  return version === '2' ? 'http2' : 'http1'
}

/** How often one try may be refused by connections that end at this moment before it counts as failed. */
const MOST_REFUSALS = 3

export class UpstreamHalf implements Attempt, StreamEvents {
  readonly lease: Lease
  readonly startedAt: number
  upstream: HttpStream | null = null
  status = 0
  grpcStatus: number | null = null
  isReused = false
  span: Span | null = null
  /** No event of this try counts any more. */
  isOver = false
  readonly #owner: AttemptOwner
  readonly #wanted: Wanted
  #group: UpstreamGroup | null = null
  #refusals = 0
  #cancel: (() => void) | null = null

  constructor(owner: AttemptOwner, lease: Lease, startedAt: number, wanted: Wanted) {
    this.#owner = owner
    this.lease = lease
    this.startedAt = startedAt
    this.#wanted = wanted
  }

  /** Another sidecar, on a connection that many requests share. */
  get isPeer(): boolean {
    return this.upstream?.version === '2' && this.lease.endpoint.identity !== null
  }

  connect(group: UpstreamGroup): void {
    this.#group = group
    let isDone = false
    const cancel = group.acquire(this.lease.endpoint, this.#wanted, (error, connection, isReused) => {
      isDone = true
      this.#onAcquired(error, connection, isReused)
    })
    if (!isDone) this.#cancel = cancel
  }

  #onAcquired(error: FlowError | null, connection: HttpClientConnection | null, isReused: boolean): void {
    this.#cancel = null
    if (this.isOver) return
    if (connection === null) return this.#owner.onAttemptFailed(this, error?.code ?? 'CONNECT_FAILED')
    this.isReused = isReused
    this.upstream = connection.open(this)
    this.#owner.onConnected(this)
  }

  /** Gives the try up, whatever it is doing. */
  abandon(code: ResetCode): void {
    if (this.isOver) return
    this.isOver = true
    this.#cancel?.()
    this.#cancel = null
    this.upstream?.reset(code)
  }

  onHead(fields: Fields, end: boolean): void {
    if (!this.isOver) this.#owner.onAttemptHead(this, fields, end)
  }

  onData(bytes: Uint8Array, from: number, to: number, end: boolean): void {
    if (!this.isOver) this.#owner.onAttemptData(bytes, from, to, end)
  }

  onTrailers(fields: Fields): void {
    if (!this.isOver) this.#owner.onAttemptTrailers(this, fields)
  }

  onReset(code: ResetCode): void {
    if (this.isOver) return
    this.upstream = null
    const isUnread = code === 'refused' && ++this.#refusals <= MOST_REFUSALS && this.status === 0
    if (isUnread && this.#group !== null && this.#owner.mayReconnect(this)) return this.connect(this.#group)
    this.#owner.onAttemptFailed(this, faultOfReset(code), code)
  }

  onDrain(): void {
    if (!this.isOver) this.#owner.onAttemptDrain()
  }
}
