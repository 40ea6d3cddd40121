// What an attacker sends must not cost the sidecar many times its size, in memory or in work.
import { afterEach, expect, test } from 'vitest'
import { readClientHello } from '../../sidecar/detect/client-hello.ts'
import { Bench } from '../../sidecar/relay/exchange-bench.ts'
import { closeAll } from './attack.ts'

afterEach(closeAll)

test('a body of single bytes costs no more than its size while it waits for a connection', () => {
  const benches = Array.from({ length: 20 }, () => {
    const bench = new Bench()
    bench.connectsAtOnce = false
    bench.request('POST', false)
    return bench
  })
  const byte = Buffer.from('a')
  const before = process.memoryUsage().heapUsed
  for (const { downstream } of benches) for (let i = 0; i < 65_536; i++) downstream.events.onData(byte, 0, 1, false)

  // 20 bodies of 64 KiB; as objects of their own their bytes took 130 MB.
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(20 << 20)
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
