import { expect, test } from 'vitest'
import { ManualClock } from '#shared/clock.ts'
import type { ReplicaReport, SidecarState } from '#shared/contract/replicas.ts'
import { createDifferences } from './differences.ts'
import { createLedger, LINGER_MS } from './ledger.ts'

const ROUTE = 'HTTPRoute shop/split'
const POLICY = 'TrafficPolicy shop/quick'

const sidecar = (pod: string, change: Partial<SidecarState> = {}): SidecarState => ({
  pod,
  openedAtMs: 1000,
  objects: [ROUTE],
  late: [],
  ...change,
})
const report = (change: Partial<ReplicaReport>): ReplicaReport => ({
  replica: '',
  changed: [],
  gone: [],
  compiled: [],
  forgotten: [],
  isWhole: true,
  ...change,
})
function start() {
  const clock = new ManualClock()
  const ledger = createLedger(clock)
  const of = () => ledger.standings().find(({ object }) => object === ROUTE)
  return { clock, ledger, of }
}

test('the sidecars of all replicas are counted, and who is late or refuses is named', () => {
  const { ledger, of } = start()
  ledger.open('a').take(report({ changed: [sidecar('shop/web-0'), sidecar('shop/web-1')] }))
  const late = [{ object: ROUTE, error: 'no such thing' }]
  ledger.open('b').take(report({ changed: [sidecar('shop/web-2', { late }), sidecar('shop/web-3')] }))
  const refused = [{ pod: 'shop/web-2', error: 'no such thing' }]
  expect(of()).toEqual({ object: ROUTE, applied: 3, of: 4, lagging: ['shop/web-2'], refused })
})

test('a sidecar that is on two replicas for a moment is counted once, as its newer stream has it', () => {
  const { ledger, of } = start()
  const late = [{ object: ROUTE, error: '' }]
  const [a, b] = [ledger.open('a'), ledger.open('b')]
  b.take(report({ changed: [sidecar('shop/web-0', { openedAtMs: 2000 })] }))
  a.take(report({ changed: [sidecar('shop/web-0', { openedAtMs: 1000, late })] }))
  expect(of()).toMatchObject({ applied: 1, of: 1 })
  a.take(report({ gone: ['shop/web-0'] }))
  expect(of()).toMatchObject({ applied: 1, of: 1 })
})

test('the sidecars of a replica that died are counted until they came back elsewhere, for 15 s at most', () => {
  const { ledger, of, clock } = start()
  const [a, b] = [ledger.open('a'), ledger.open('b')]
  a.take(report({ changed: [sidecar('shop/web-0')] }))
  b.take(report({ changed: [sidecar('shop/web-1'), sidecar('shop/web-2')] }))
  b.close()
  expect(of()?.of).toBe(3)
  a.take(report({ changed: [sidecar('shop/web-1', { openedAtMs: 2000, late: [{ object: ROUTE, error: '' }] })] }))
  expect(of()).toMatchObject({ of: 3, lagging: ['shop/web-1'] })
  clock.advance(LINGER_MS - 1)
  expect(of()?.of).toBe(3)
  clock.advance(1)
  expect(of()?.of).toBe(2)
})

test('a sidecar that has come and not said yet what it holds counts as where it was before', () => {
  const { ledger, of } = start()
  const [a, b] = [ledger.open('a'), ledger.open('b')]
  a.take(report({ changed: [sidecar('shop/web-0')] }))
  b.take(report({ changed: [sidecar('shop/web-0', { openedAtMs: 2000, objects: [] })] }))
  a.take(report({ gone: ['shop/web-0'] }))
  expect(of()?.of).toBe(1)
  b.take(report({ changed: [sidecar('shop/web-0', { openedAtMs: 2000 })] }))
  expect(of()?.of).toBe(1)
  b.take(report({ changed: [sidecar('shop/web-0', { openedAtMs: 2000, objects: [POLICY] })] }))
  expect(of()).toBeUndefined()
})

test('a replica that begins anew loses nothing meanwhile, and the end of its old stream ends nothing of the new one', () => {
  const { ledger, of } = start()
  const old = ledger.open('a')
  old.take(report({ changed: [sidecar('shop/web-0'), sidecar('shop/web-1')] }))
  const next = ledger.open('a')
  expect(of()?.of).toBe(2)
  expect(ledger.missing([], ROUTE, 1)).toEqual(['a'])
  next.take(report({ changed: [sidecar('shop/web-0')], compiled: [{ object: ROUTE, generation: 1 }] }))
  old.close()
  expect(of()?.of).toBe(2)
  expect(ledger.missing([], ROUTE, 1)).toEqual([])
})

test('a replica is missing until it has told everything, and for each object until it has compiled the same generation', () => {
  const { ledger } = start()
  expect(ledger.missing(['a', 'b'], ROUTE, 1)).toEqual(['a', 'b'])
  const [a, b] = [ledger.open('a'), ledger.open('b')]
  a.take(report({ compiled: [{ object: ROUTE, generation: 1 }] }))
  b.take(report({ compiled: [{ object: ROUTE, generation: 1 }], isWhole: false }))
  expect(ledger.missing(['a', 'b'], ROUTE, 1)).toEqual(['b'])
  b.take(report({}))
  expect(ledger.missing(['a', 'b'], ROUTE, 1)).toEqual([])
  expect(ledger.missing(['a', 'b'], ROUTE, 2)).toEqual(['a', 'b'])
  expect(ledger.missing(['a', 'b'], POLICY, 1)).toEqual(['a', 'b'])
  b.close()
  expect(ledger.missing(['a', 'b'], ROUTE, 1)).toEqual(['b'])
  expect(ledger.missing(['a'], ROUTE, 1)).toEqual([])
})

test('what a replica tells bit by bit ends in the same count as what it has', () => {
  const { ledger, of } = start()
  const entry = ledger.open('a')
  const differences = createDifferences('a')
  const tell = (sidecars: readonly SidecarState[], compiled: Readonly<Record<string, number>>) => {
    const messages = differences({ sidecars, compiled: new Map(Object.entries(compiled)) })
    for (const one of messages) entry.take(one)
    return messages.length
  }
  expect(tell([], {})).toBe(1)
  const [one, two] = [sidecar('shop/web-0'), sidecar('shop/web-1')]
  expect(tell([one, two], { [ROUTE]: 1 })).toBe(3)
  expect(tell([one, two], { [ROUTE]: 1 })).toBe(0)
  expect(of()).toMatchObject({ applied: 2, of: 2 })
  const late = sidecar('shop/web-1', { late: [{ object: ROUTE, error: '' }] })
  tell([one, late], { [ROUTE]: 2 })
  expect(of()).toMatchObject({ applied: 1, of: 2 })
  expect(ledger.missing(['a'], ROUTE, 2)).toEqual([])
  tell([one], {})
  expect(ledger.missing(['a'], ROUTE, 2)).toEqual(['a'])
})

test('ten thousand sidecars are told in messages that none of them is too large for gRPC', () => {
  const objects = Array.from({ length: 60 }, (_, at) => `HTTPRoute shop/a-route-with-a-usual-name-${at}`)
  const sidecars = Array.from({ length: 10_000 }, (_, at) => sidecar(`shop/web-${at}`, { objects }))
  const messages = createDifferences('a')({ sidecars, compiled: new Map() })
  const sizes = messages.map((one) => JSON.stringify(one).length)
  expect(Math.max(...sizes)).toBeLessThan(512 * 1024)
  expect(messages.flatMap(({ changed }) => changed)).toEqual(sidecars)
  expect(messages.filter(({ isWhole }) => isWhole)).toEqual([messages.at(-1)])
})
