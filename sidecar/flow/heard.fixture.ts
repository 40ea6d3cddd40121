// For tests of the codecs: what a half told, kept to look at.
import type { Fields, ResetCode, StreamEvents } from './stream.ts'

/** One half's events, as they came. */
export class Heard implements StreamEvents {
  heads: Fields[] = []
  body = ''
  trailers: Fields | null = null
  isEnded = false
  reset: ResetCode | null = null
  drains = 0
  /** Each event as a word, to compare orders. */
  log: string[] = []
  /** Called after each event. */
  onEvent: () => void = () => {}
  readonly #waiting: { holds: () => boolean; resolve: () => void }[] = []

  onHead(fields: Fields, end: boolean): void {
    this.heads.push(fields)
    this.#note('head', end)
  }
  onData(bytes: Uint8Array, from: number, to: number, end: boolean): void {
    this.body += Buffer.from(bytes.subarray(from, to)).toString('latin1')
    this.#note('data', end)
  }
  onTrailers(fields: Fields): void {
    this.trailers = fields
    this.#note('trailers', true)
  }
  onReset(code: ResetCode): void {
    this.reset = code
    this.#note(`reset ${code}`, false)
  }
  onDrain(): void {
    this.drains++
    this.#note('drain', false)
  }

  get head(): Fields {
    return this.heads.at(-1) ?? []
  }

  get status(): number {
    return Number(this.head[1])
  }

  /** Resolves once it holds; it is asked after each event. */
  async until(holds: () => boolean): Promise<void> {
    if (holds()) return
    await new Promise<void>((resolve) => this.#waiting.push({ holds, resolve }))
  }

  ended(): Promise<void> {
    return this.until(() => this.isEnded || this.reset !== null)
  }

  #note(event: string, end: boolean): void {
    this.log.push(end ? `${event} end` : event)
    if (end) this.isEnded = true
    this.onEvent()
    for (const waiter of this.#waiting.filter(({ holds }) => holds())) {
      this.#waiting.splice(this.#waiting.indexOf(waiter), 1)
      waiter.resolve()
    }
  }
}
