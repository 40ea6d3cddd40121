// A request as far as it has come: kept until a connection is there, and for as long as another try may need it again.
import type { Fields, HttpStream } from '#flow/stream.ts'
import { ReplayBuffer } from './replay.ts'

export class RequestSoFar {
  isOver: boolean
  trailers: Fields | null = null
  /** All that came is here, so that another try can send it. */
  isReplayable: boolean
  /** Whether the body is kept after it has left; before that it always is. */
  readonly #mayRepeat: boolean
  #body: ReplayBuffer | null = null

  constructor(isOver: boolean, isReplayable: boolean, mayRepeat: boolean) {
    this.isOver = isOver
    this.isReplayable = isReplayable
    this.#mayRepeat = mayRepeat
  }

  /** Keeps what cannot be sent yet. False: enough waits. */
  hold(bytes: Uint8Array, from: number, to: number): boolean {
    this.#body ??= new ReplayBuffer()
    this.#body.keep(bytes, from, to)
    return this.#body.isWithinLimit
  }

  /** Keeps what is sent at the same time, while it is still of use. */
  keep(bytes: Uint8Array, from: number, to: number): void {
    if (this.isReplayable && !this.hold(bytes, from, to)) this.forget()
  }

  /** No further try. */
  forget(): void {
    this.isReplayable = false
    this.#body = null
  }

  /** Sends head and all that was kept, but for trailers. False: the source must wait for onDrain. */
  sendTo(upstream: HttpStream, head: Fields): boolean {
    const body = this.#body !== null && this.#body.sizeBytes > 0 ? this.#body : null
    const isLast = this.isOver && this.trailers === null
    upstream.sendHead(head, isLast && body === null)
    const goOn = body?.sendTo((bytes, from, to, end) => upstream.sendData(bytes, from, to, end), isLast) ?? true
    const mayRepeat = this.#mayRepeat || upstream.version === '2'
    if (!mayRepeat || this.#body?.isWithinLimit === false) this.forget()
    return goOn
  }
}
