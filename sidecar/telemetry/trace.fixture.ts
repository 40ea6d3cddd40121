// A tracing with an exporter that keeps the spans, and walks through its steps as the relay does them.
import type { Exchange } from '#flow/exchange.ts'
import { ManualClock } from '#shared/clock.ts'
import type { RouteRule, WorkloadConfig } from '#shared/decide/config.ts'
import { silentLog } from '#shared/log.ts'
import { Watched } from '#shared/watch.ts'
import { CATALOG_IDENTITY, createAttempt, createExchange, createWorkload } from './exchange.fixture.ts'
import type { SpanExporter } from './span-queue.ts'
import { createTracing, type Tracing, type TracingOptions } from './trace.ts'

type ReadableSpan = Parameters<SpanExporter['export']>[0][number]

export const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
export const PARENT = '00f067aa0ba902b7'
export const SAMPLED = `00-${TRACE}-${PARENT}-01`
export const UNSAMPLED = `00-${TRACE}-${PARENT}-00`

export interface Rig extends AsyncDisposable {
  readonly tracing: Tracing
  readonly clock: ManualClock
  readonly workload: Watched<WorkloadConfig | undefined>
  readonly closed: () => number
  spans(): Promise<ReadableSpan[]>
}

export async function startTracing(
  tracing: Partial<WorkloadConfig['tracing']> = {},
  overrides: Partial<TracingOptions> = {},
): Promise<Rig> {
  const clock = new ManualClock()
  const spans: ReadableSpan[] = []
  let closed = 0
  const exporter: SpanExporter = {
    export(batch, done) {
      spans.push(...batch)
      done({ code: 0 })
    },
    async shutdown() {
      closed++
    },
  }
  const workload = new Watched<WorkloadConfig | undefined>(createWorkload(tracing))
  const created = createTracing({
    workload,
    clock,
    log: silentLog,
    version: '1.2.3',
    random: seeded(),
    resource: { 'service.version': 'v1' },
    self: () => CATALOG_IDENTITY,
    createExporter: async () => exporter,
    ...overrides,
  })
  await created.settled()
  return {
    tracing: created,
    clock,
    workload,
    closed: () => closed,
    async spans() {
      clock.advance(1000)
      await Promise.resolve()
      return spans
    },
    [Symbol.asyncDispose]: () => created.shutdown(),
  }
}

/** A small generator of its own (mulberry32), so that ids differ but runs do not. */
function seeded(): () => number {
  let state = 1
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

export function withFields(fields: string[], overrides: Partial<Exchange> = {}): Exchange {
  const exchange = createExchange(overrides)
  exchange.request.push(...fields)
  return exchange
}

export const onRule = (name: string): Pick<Exchange, 'decision'> => {
  const { policy } = createExchange()
  const rule: RouteRule = {
    route: { kind: 'HTTPRoute', namespace: 'shop', name },
    rule: '0',
    matches: [],
    backends: [],
    policy,
  }
  return { decision: { kind: 'forward', backend: 'shop/catalog:8080', rule, policy } }
}

/** Walks the outbound step through one try for each code; gives back the heads as the endpoints got them. */
export function runTries(rig: Rig, exchange: Exchange, codes: readonly ('CONNECT_FAILED' | null)[]): string[][] {
  const heads: string[][] = []
  const step = rig.tracing.outbound
  step.onRequest?.(exchange)
  for (const code of codes) {
    const attempt = createAttempt({ startedAt: rig.clock.now(), status: code === null ? 200 : 0 })
    exchange.attempts.push(attempt)
    const head = [...exchange.request]
    step.onAttempt?.(exchange, attempt, head)
    rig.clock.advance(5)
    step.onAttemptEnd?.(exchange, attempt, code)
    heads.push(head)
  }
  step.onEnd?.(exchange)
  return heads
}

export function runOnce(rig: Rig, direction: 'inbound' | 'outbound', exchange: Exchange): void {
  const step = rig.tracing[direction]
  step.onRequest?.(exchange)
  if (direction === 'outbound') {
    const attempt = createAttempt()
    exchange.attempts.push(attempt)
    step.onAttempt?.(exchange, attempt, [...exchange.request])
    step.onAttemptEnd?.(exchange, attempt, null)
  }
  step.onEnd?.(exchange)
}
