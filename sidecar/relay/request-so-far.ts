// A request as far as it has come: kept until a connection is there, and for as long as another try may need it again.
import type { Fields, HttpStream } from '#flow/stream.ts'
import { ReplayBuffer } from './replay.ts'

const NOTHING = Buffer.alloc(0)

export class RequestSoFar {
  isOver: boolean
  trailers: Fields | null = null
  /** All that came is here, so that another try can send it. */
  isReplayable: boolean
  /** Whether the body is kept after it has left; before that it always is. */
  readonly #mayRepeat: boolean
  readonly #isHeadOnly: boolean
  #body: ReplayBuffer | null = null

  /** `isHeadOnly`: it ended with its head. */
  constructor(isHeadOnly: boolean, isReplayable: boolean, mayRepeat: boolean) {
    this.isOver = this.#isHeadOnly = isHeadOnly
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
    // A call of gRPC ends with a frame of DATA, be it empty; servers wait for it. So on HTTP/2 what did not end with its head never does.
    const isHeadLast = isLast && body === null && (this.#isHeadOnly || upstream.version !== '2')
    upstream.sendHead(head, isHeadLast)
    let goOn = true
    if (body !== null) goOn = body.sendTo((bytes, from, to, end) => upstream.sendData(bytes, from, to, end), isLast)
    else if (isLast && !isHeadLast) upstream.sendData(NOTHING, 0, 0, true)
    const mayRepeat = this.#mayRepeat || upstream.version === '2'
    if (!mayRepeat || this.#body?.isWithinLimit === false) this.forget()
    return goOn
  }
}
