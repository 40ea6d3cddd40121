import { describe, expect, test } from 'vitest'
import { formatAddress, parseAddress } from '#shared/address.ts'
import { ManualClock } from '#shared/clock.ts'
import type { EndpointState, Resource } from '#shared/contract/discovery.ts'
import {
  CATALOG,
  CATALOG_BACKEND,
  CATALOG_KEY,
  destinationConfig,
  endpoint,
  workloadConfig,
} from '../../test/support/discovery.ts'
import { DiscoveryState } from './state.ts'

const LIST = `${CATALOG_BACKEND}/ipv4`

function createState(maxDestinations = 100): DiscoveryState {
  return new DiscoveryState({ pod: 'web-0', maxDestinations, validate: () => undefined, clock: new ManualClock() })
}

const list = (version: string, ...endpoints: EndpointState[]): Resource => ({
  type: 'ENDPOINTS',
  name: LIST,
  version,
  endpoints: { endpoints },
})

const catalog = (version: string, change = {}, name = CATALOG_KEY): Resource => ({
  type: 'DESTINATION',
  name,
  version,
  configuration: JSON.stringify(destinationConfig(change)),
})

const delta = (version: string, baseVersion: string, change: Partial<NonNullable<Resource['delta']>>): Resource => ({
  type: 'ENDPOINTS',
  name: LIST,
  version,
  delta: { baseVersion, upserts: [], removals: [], ...change },
})

describe('what a sidecar has in force', () => {
  test('two destinations of one backend share its endpoints as the same objects', () => {
    const state = createState()
    state.ask(CATALOG)
    state.ask(parseAddress('10.96.0.8:80'))
    const other = destinationConfig({ defaultBackend: 'shop/all:80', backends: [] })
    state.apply([
      list('1', endpoint('10.77.0.5:8080')),
      { ...list('1', endpoint('10.77.0.5:8080')), name: 'shop/all:80/ipv4' },
      catalog('1'),
      { ...catalog('1', {}, '10.96.0.8:80'), configuration: JSON.stringify(other) },
    ])

    const one = state.known(CATALOG)?.endpoints(CATALOG_BACKEND).current[0]
    const two = state.known(parseAddress('10.96.0.8:80'))?.endpoints('shop/all:80').current[0]
    expect(one).toBeDefined()
    expect(one).toBe(two)
  })

  test('an endpoint with another identity is another object', () => {
    const state = createState()
    state.ask(CATALOG)
    state.apply([list('1', endpoint('10.77.0.5:8080')), catalog('1')])
    const set = state.known(CATALOG)?.endpoints(CATALOG_BACKEND)
    const before = set?.current[0]

    state.apply([delta('2', '1', { upserts: [endpoint('10.77.0.5:8080', { identity: '' })] })])

    expect(set?.current).toHaveLength(1)
    expect(set?.current[0]).not.toBe(before)
    expect(set?.current[0]?.identity).toBeNull()
  })

  test('a difference to another version than the one held is asked for anew, and nothing changes', () => {
    const state = createState()
    state.ask(CATALOG)
    state.apply([list('1', endpoint('10.77.0.5:8080')), catalog('1')])

    const result = state.apply([delta('3', '2', { removals: ['10.77.0.5:8080'] })])

    expect(result).toEqual({ applied: [], missing: [{ type: 'ENDPOINTS', name: LIST, version: '' }] })
    expect(state.known(CATALOG)?.endpoints(CATALOG_BACKEND).current).toHaveLength(1)
  })

  test('endpoints that did not come with a destination are asked for', () => {
    const state = createState()
    state.ask(CATALOG)
    expect(state.apply([catalog('1')]).missing).toEqual([{ type: 'ENDPOINTS', name: LIST, version: '' }])
  })

  test.each([
    ['no address', endpoint('nowhere')],
    ['no identity', endpoint('10.77.0.6:80', { identity: 'spiffe://bad' })],
  ])('a list with an endpoint that has %s is refused whole', (_, bad) => {
    const state = createState()
    state.ask(CATALOG)
    state.apply([list('1', endpoint('10.77.0.5:8080')), catalog('1')])

    const { applied } = state.apply([list('2', endpoint('10.77.0.7:8080'), bad)])

    expect(applied[0]?.error).not.toBe('')
    const set = state
      .known(CATALOG)
      ?.endpoints(CATALOG_BACKEND)
      .current.map(({ address }) => formatAddress(address))
    expect(set).toEqual(['10.77.0.5:8080'])
    expect(state.held().find(({ name }) => name === LIST)?.version).toBe('1')
  })

  test.each([
    ['no JSON', '{'],
    ['no object', '[]'],
    ['a protocol of another time', JSON.stringify({ ...destinationConfig(), protocol: 'http/3' })],
    ['no list of rules', JSON.stringify({ ...destinationConfig(), rules: {} })],
    [
      'a rule without a policy',
      JSON.stringify({ ...destinationConfig(), rules: [{ route: {}, rule: '0', matches: [], backends: [] }] }),
    ],
    ['a backend without a key', JSON.stringify({ ...destinationConfig(), backends: [{}] })],
  ])('a configuration with %s is refused', (_, configuration) => {
    const state = createState()
    state.ask(CATALOG)
    const { applied } = state.apply([{ ...catalog('1'), configuration }])
    expect(applied).toMatchObject([{ name: CATALOG_KEY, version: '1' }])
    expect(applied[0]?.error).not.toBe('')
    expect(state.known(CATALOG)).toBeUndefined()
  })

  test('a workload of another time is refused and the one before stays', () => {
    const state = createState()
    const workload = (version: string, config: unknown): Resource => ({
      type: 'WORKLOAD',
      name: 'web-0',
      version,
      configuration: JSON.stringify(config),
    })
    state.apply([workload('1', workloadConfig())])
    const { applied } = state.apply([workload('2', { ...workloadConfig(), mtls: 'Paranoid' })])
    expect(applied[0]?.error).toBe('workload.mtls: "Paranoid" is none of Strict, Permissive, Disabled')
    expect(state.workload.current).toEqual(workloadConfig())
  })

  test('an answer to what was given up meanwhile is dropped', () => {
    const state = createState()
    const asked = state.ask(CATALOG)
    if (asked === undefined) throw new Error('not asked')
    state.drop(asked.entry)
    state.apply([list('1', endpoint('10.77.0.5:8080')), catalog('1')])
    expect(state.known(CATALOG)).toBeUndefined()
    state.sweepLists()
    expect(state.lists.size).toBe(0)
  })

  test('a destination that becomes a service again is the same object to those who hold it', () => {
    const state = createState()
    state.ask(CATALOG)
    state.apply([list('1', endpoint('10.77.0.5:8080')), catalog('1')])
    const first = state.known(CATALOG)
    state.apply([{ type: 'DESTINATION', name: CATALOG_KEY, version: '2', notOurs: { cidr: '' } }])
    expect(state.known(CATALOG)).toBeNull()
    state.apply([catalog('3', { protocol: 'opaque' })])
    expect(state.known(CATALOG)).toBe(first)
    expect(first?.config.current.protocol).toBe('opaque')
  })

  test('a range that is no longer outside the mesh is asked for again', () => {
    const state = createState()
    const outside = (version: string, cidr: string): Resource => ({
      type: 'DESTINATION',
      name: '203.0.113.9:443',
      version,
      notOurs: { cidr },
    })
    state.ask(parseAddress('203.0.113.9:443'))
    state.apply([outside('1', '128.0.0.0/1')])
    expect(state.known(parseAddress('198.51.100.1:80'))).toBeNull()
    state.apply([outside('2', '203.0.0.0/8')])
    expect(state.known(parseAddress('198.51.100.1:80'))).toBeUndefined()
  })

  test('a port scan pushes out its own traces, never a service', () => {
    const state = createState(10)
    state.ask(CATALOG)
    state.apply([list('1', endpoint('10.77.0.5:8080')), catalog('1')])
    for (let port = 1; port <= 1_000; port++) state.ask({ host: '10.96.0.200', port })
    expect(state.entries.size).toBe(10)
    expect(state.known(CATALOG)).not.toBeNull()
    expect(state.known(CATALOG)?.key).toBe(CATALOG_KEY)
  })
})
