import { expect, test } from 'vitest'
import { ManualClock } from '#shared/clock.ts'
import { createLog, type Log, silentLog } from '#shared/log.ts'
import { createSpanQueue, type SpanExporter, type SpanQueue } from './span-queue.ts'

type ReadableSpan = Parameters<SpanExporter['export']>[0][number]
type Done = Parameters<SpanExporter['export']>[1]

/** An exporter whose exports end when the test says so. */
function heldExporter() {
  const batches: { readonly names: string[]; readonly done: Done }[] = []
  let closed = 0
  const exporter: SpanExporter = {
    export: (spans, done) => void batches.push({ names: spans.map((span) => span.name), done }),
    shutdown: async () => void closed++,
  }
  return { exporter, batches, closed: () => closed }
}

function createRig(log: Log = silentLog) {
  const clock = new ManualClock()
  const queue = createSpanQueue({ clock, log, maxSpans: 4, batchSize: 2, delayMs: 1000 })
  return { clock, queue }
}

// The queue reads nothing of a span; the exporter of these tests reads its name.
function end(queue: SpanQueue, ...names: string[]): void {
  for (const name of names) queue.processor.onEnd({ name } as ReadableSpan)
}

test('spans go out after the delay, or at once when a batch is full', async () => {
  const { clock, queue } = createRig()
  const { exporter, batches } = heldExporter()
  queue.setExporter(exporter)
  end(queue, 'a')
  expect(batches).toHaveLength(0)
  clock.advance(1000)
  expect(batches.map((batch) => batch.names)).toEqual([['a']])
  batches[0]?.done({ code: 0 })
  await Promise.resolve().then(() => {})
  end(queue, 'b', 'c')

  expect(batches.map((batch) => batch.names)).toEqual([['a'], ['b', 'c']])
})

test('while an export hangs the queue stays bounded and what is over it is dropped and counted', () => {
  const { queue } = createRig()
  const { exporter, batches } = heldExporter()
  queue.setExporter(exporter)
  end(queue, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h')

  expect(batches.map((batch) => batch.names)).toEqual([['a', 'b']])
  expect(queue.dropped()).toBe(2)
})

test('flush waits for all that waits', async () => {
  const { queue } = createRig()
  const { exporter, batches } = heldExporter()
  queue.setExporter(exporter)
  end(queue, 'a', 'b', 'c')
  let isFlushed = false
  const flushed = queue.flush().then(() => {
    isFlushed = true
  })
  batches[0]?.done({ code: 0 })
  await new Promise(setImmediate)
  expect(isFlushed).toBe(false)
  batches[1]?.done({ code: 0 })
  await flushed

  expect(batches.map((batch) => batch.names)).toEqual([['a', 'b'], ['c']])
  expect(queue.exported()).toBe(3)
})

test('a replaced exporter still gets what waited for it and is closed after its last export', async () => {
  const { queue } = createRig()
  const former = heldExporter()
  const next = heldExporter()
  queue.setExporter(former.exporter)
  end(queue, 'a', 'b', 'c')
  queue.setExporter(next.exporter)
  await new Promise(setImmediate)
  expect(former.closed()).toBe(0)
  former.batches[0]?.done({ code: 0 })
  await new Promise(setImmediate)
  former.batches[1]?.done({ code: 0 })
  await new Promise(setImmediate)

  expect(former.batches.map((batch) => batch.names)).toEqual([['a', 'b'], ['c']])
  expect(former.closed()).toBe(1)
  expect(next.batches).toHaveLength(0)
})

test('failed exports are counted and told once a minute', async () => {
  const lines: string[] = []
  const log = createLog('test', 'warn')
  log.warn = ((...values: unknown[]) => void lines.push(JSON.stringify(values))) as Log['warn']
  const { clock, queue } = createRig(log)
  const failing: SpanExporter = {
    export(spans, done) {
      if (spans[0]?.name === 'throws') throw new Error('broken')
      done({ code: 1, error: new Error('ECONNREFUSED') })
    },
    shutdown: async () => {},
  }
  queue.setExporter(failing)
  end(queue, 'a', 'b')
  await queue.flush()
  end(queue, 'throws', 'd')
  await queue.flush()
  expect(lines).toHaveLength(1)
  expect(lines[0]).toContain('ECONNREFUSED')
  clock.advance(60_000)
  end(queue, 'e', 'f')
  await queue.flush()

  expect(lines).toHaveLength(2)
  expect(queue.dropped()).toBe(6)
  expect(queue.exported()).toBe(0)
})
