// Ended spans wait here for the exporter: bounded, in small batches so that encoding never holds the event loop for
// long. The exporter can be swapped while spans are under way. A collector that is away costs spans, never traffic.
import type { NodeSDK } from '@opentelemetry/sdk-node'
import type { Clock } from '#shared/clock.ts'
import type { Log } from '#shared/log.ts'
import { createEvery } from './every.ts'

type SdkConfiguration = NonNullable<ConstructorParameters<typeof NodeSDK>[0]>
export type SpanExporter = NonNullable<SdkConfiguration['traceExporter']>
type SpanProcessor = NonNullable<SdkConfiguration['spanProcessors']>[number]
type ReadableSpan = Parameters<SpanProcessor['onEnd']>[0]

export interface SpanQueue {
  readonly processor: SpanProcessor
  /** What waits still goes to the exporter before; that one is then shut down. null: spans are thrown away. */
  setExporter(exporter: SpanExporter | null): void
  /** Resolves when nothing waits and no export is under way. */
  flush(): Promise<void>
  readonly exported: () => number
  readonly dropped: () => number
}

export interface SpanQueueOptions {
  readonly clock: Clock
  readonly log: Log
  readonly maxSpans?: number
  readonly batchSize?: number
  readonly delayMs?: number
}

export function createSpanQueue(options: SpanQueueOptions): SpanQueue {
  const state = new State(options)
  return {
    processor: {
      onStart() {},
      onEnd: (span) => state.add(span),
      forceFlush: () => state.flush(),
      shutdown: () => state.flush(),
    },
    setExporter: (exporter) => state.setExporter(exporter),
    flush: () => state.flush(),
    exported: () => state.exported,
    dropped: () => state.dropped,
  }
}

class State {
  exported = 0
  dropped = 0
  readonly #clock: Clock
  readonly #log: Log
  readonly #maxSpans: number
  readonly #batchSize: number
  readonly #delayMs: number
  readonly #isTimeToTell: () => boolean
  #waiting: ReadableSpan[] = []
  #exporter: SpanExporter | null = null
  /** Exports under way per exporter, so that a replaced one is shut down after its last. */
  #underWay: Promise<void> | null = null
  #cancelTimer: (() => void) | null = null

  constructor(options: SpanQueueOptions) {
    this.#clock = options.clock
    this.#log = options.log
    this.#maxSpans = options.maxSpans ?? 4096
    this.#batchSize = options.batchSize ?? 128
    this.#delayMs = options.delayMs ?? 1000
    this.#isTimeToTell = createEvery(60_000, () => options.clock.now())
  }

  add(span: ReadableSpan): void {
    if (this.#exporter === null) return
    if (this.#waiting.length >= this.#maxSpans) {
      this.dropped++
      return
    }
    this.#waiting.push(span)
    if (this.#waiting.length >= this.#batchSize) this.#exportNext()
    else this.#cancelTimer ??= this.#clock.after(this.#delayMs, () => this.#exportNext())
  }

  setExporter(next: SpanExporter | null): void {
    const last = this.#exporter
    if (last === null) {
      this.#exporter = next
      return
    }
    const rest = this.#waiting
    this.#waiting = []
    this.#exporter = next
    const before = this.#underWay ?? Promise.resolve()
    void before
      .then(() => (rest.length === 0 ? undefined : this.#export(last, rest)))
      .then(() => last.shutdown())
      .catch((cause: unknown) => this.#log.debug({ err: cause }, 'the former span exporter did not close cleanly'))
  }

  async flush(): Promise<void> {
    while (this.#waiting.length > 0 || this.#underWay !== null) {
      this.#exportNext()
      await this.#underWay
    }
  }

  /** One export at a time; the next one starts when it is over, if enough has come in. */
  #exportNext(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = null
    if (this.#underWay !== null || this.#exporter === null || this.#waiting.length === 0) return
    const batch = this.#waiting.length <= this.#batchSize ? this.#waiting : this.#waiting.splice(0, this.#batchSize)
    if (batch === this.#waiting) this.#waiting = []
    this.#underWay = this.#export(this.#exporter, batch).then(() => {
      this.#underWay = null
      if (this.#waiting.length >= this.#batchSize) this.#exportNext()
      else if (this.#waiting.length > 0) {
        this.#cancelTimer ??= this.#clock.after(this.#delayMs, () => this.#exportNext())
      }
    })
  }

  /** Never rejects. */
  #export(exporter: SpanExporter, batch: ReadableSpan[]): Promise<void> {
    return new Promise<void>((resolve) => {
      try {
        exporter.export(batch, (result) => {
          if (result.code === 0) this.exported += batch.length
          else this.#fail(batch.length, result.error)
          resolve()
        })
      } catch (cause) {
        this.#fail(batch.length, cause)
        resolve()
      }
    })
  }

  #fail(count: number, cause: unknown): void {
    this.dropped += count
    if (!this.#isTimeToTell()) return
    const reason = cause instanceof Error ? cause.message : String(cause)
    this.#log.warn(
      { reason, dropped: this.dropped },
      'the trace collector does not take spans; traffic is not affected',
    )
  }
}
