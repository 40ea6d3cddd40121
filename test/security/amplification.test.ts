// What an attacker sends must not cost the sidecar many times its size, in memory or in work.
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { readClientHello } from '../../sidecar/detect/client-hello.ts'
import { Bench } from '../../sidecar/relay/exchange-bench.ts'
import type { SpanExporter } from '../../sidecar/telemetry/span-queue.ts'
import { runOnce, SAMPLED, startTracing, withFields } from '../../sidecar/telemetry/trace.fixture.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

test('a body of single bytes costs no more than its size while it waits for a connection', () => {
  const benches = Array.from({ length: 20 }, () => {
    const bench = new Bench()
    bench.connectsAtOnce = false
    bench.request('POST', false)
    return bench
  })
  const byte = Buffer.from('a')
  const before = heapInUse()
  for (const { downstream } of benches) for (let i = 0; i < 65_536; i++) downstream.events.onData(byte, 0, 1, false)

  // 20 bodies of 64 KiB; as objects of their own their bytes took 130 MB.
  expect(heapInUse() - before).toBeLessThan(20 << 20)
  const [bench] = benches
  bench?.connect()
  expect(bench?.upstream.said[1]).toBe(`data ${'a'.repeat(65_536)}`)
})

test('a ClientHello in records of one byte, sent byte by byte, is given up early', () => {
  const hello = Buffer.concat([Buffer.from([1, 0, 0x3f, 0]), Buffer.alloc(0x3f00)])
  const records = Buffer.concat([...hello].map((byte) => Buffer.from([22, 3, 1, 0, 1, byte])))
  let wants = 0
  while (readClientHello(records.subarray(0, wants)) === 'more') wants++

  expect(wants).toBeLessThan(1000)
})

test.each([
  ['empty records', Buffer.from('1603010000'.repeat(4), 'hex')],
  ['a length beyond all hellos', Buffer.from('160301ffff01ffffff', 'hex')],
])('%s are no ClientHello and not waited for', (_name, bytes) => {
  expect(readClientHello(bytes)).toBeNull()
})

test('spans that wait for a collector keep nothing of the heads that they are from', async () => {
  const held: (() => void)[] = []
  const exporter: SpanExporter = {
    export: (_batch, done) => void held.push(() => done({ code: 1 })),
    async shutdown() {},
  }
  const rig = await startTracing({}, { createExporter: async () => exporter })
  const line = `${SAMPLED} curl/8.0 with a longer name k=${'v'.repeat(59_000)}`
  const at = SAMPLED.length
  const before = heapInUse()
  for (let i = 0; i < 1000; i++) {
    const head = Buffer.from(line, 'latin1').toString('latin1')
    const agent = head.slice(at + 1, at + 29)
    const fields = ['traceparent', head.slice(0, at), 'user-agent', agent, 'tracestate', head.slice(at + 30)]
    runOnce(rig, i % 2 === 0 ? 'inbound' : 'outbound', withFields(fields))
  }
  const grown = heapInUse() - before

  // 1000 heads are 59 MB; the spans alone some 3 MB.
  expect(held).toHaveLength(1)
  expect(grown).toBeLessThan(20 << 20)
  const over = rig.tracing.shutdown()
  while (held.length > 0) {
    held.pop()?.()
    await setImmediate()
  }
  await over
})

function heapInUse(): number {
  collectGarbage()
  return process.memoryUsage().heapUsed
}
