import { status } from '@grpc/grpc-js'
import { describe, expect, test } from 'vitest'
import type { Applied, ControlMessage, EndpointState, Held, Resource } from '#shared/contract/discovery.ts'
import type { DestinationConfig } from '#shared/decide/config.ts'
import { CATALOG_BACKEND, CATALOG_KEY, destinationConfig, endpoint, mesh } from '../../test/support/discovery.ts'
import { createContents } from './content.ts'
import { createEndpointHistory } from './delta.ts'
import { Session } from './session.ts'
import type { ModelView } from './view.ts'

const LIST = `${CATALOG_BACKEND}/ipv4`
const destination = (version = ''): Held => ({ type: 'DESTINATION', name: CATALOG_KEY, version })

/** A sidecar by hand: takes what is sent and reports it as applied, unless told otherwise. */
function startSession(view: ModelView, maxSubscriptions = 100) {
  let isOpen = true
  const sent: Resource[] = []
  const session = new Session({
    caller: { namespace: 'shop', pod: 'web-0' },
    contents: createContents(view),
    history: createEndpointHistory(),
    maxSubscriptions,
    send(message: ControlMessage) {
      sent.push(...(message.update?.resources ?? []))
      return isOpen
    },
  })
  const report = (error = '', resources: readonly Resource[] = sent) => {
    const applied: Applied[] = resources.map(({ type, name, version }) => ({ type, name, version, error }))
    session.receive({ report: { applied } })
  }
  return {
    session,
    sent,
    report,
    /** What has been sent since the last call. */
    take: () => sent.splice(0),
    subscribe: (...resources: Held[]) => session.receive({ subscribe: { resources } }),
    change: (next: ModelView) => session.serve(createContents(next)),
    block() {
      isOpen = false
    },
    resume() {
      isOpen = true
      session.resume()
    },
  }
}

const withEndpoints = (...endpoints: EndpointState[]) => mesh({ endpoints: { [CATALOG_BACKEND]: endpoints } })
const withDestination = (change: Partial<DestinationConfig>) =>
  mesh({ destinations: { [CATALOG_KEY]: destinationConfig(change) } })

describe('a session', () => {
  test('sends the endpoints before the destination that needs them', () => {
    const { subscribe, take } = startSession(mesh())
    subscribe(destination())
    expect(take().map(({ name }) => name)).toEqual([LIST, CATALOG_KEY])
  })

  test('sends nothing for a change that changes nothing here', () => {
    const { subscribe, take, change } = startSession(mesh())
    subscribe(destination())
    take()
    const other = { '10.96.0.9:80': destinationConfig(), [CATALOG_KEY]: destinationConfig() }
    change(mesh({ destinations: other }))
    expect(take()).toEqual([])
  })

  test('sends equal contents under equal versions whatever the order of their fields', () => {
    const { subscribe, take, change } = startSession(mesh())
    subscribe(destination())
    take()
    const reversed = Object.fromEntries(Object.entries(destinationConfig()).reverse()) as unknown as DestinationConfig
    change(mesh({ destinations: { [CATALOG_KEY]: reversed } }))
    expect(take()).toEqual([])
  })

  test('tells of endpoints only what differs', () => {
    const { subscribe, take, change } = startSession(withEndpoints(endpoint('10.77.0.1:80'), endpoint('10.77.0.2:80')))
    subscribe(destination())
    const [list] = take()
    change(withEndpoints(endpoint('10.77.0.2:80', { weight: 5 }), endpoint('10.77.0.3:80')))
    expect(take()).toMatchObject([
      {
        name: LIST,
        delta: {
          baseVersion: list?.version,
          upserts: [{ address: '10.77.0.2:80', weight: 5 }, { address: '10.77.0.3:80' }],
          removals: ['10.77.0.1:80'],
        },
      },
    ])
  })

  test('follows the backends that a new configuration brings', () => {
    const { subscribe, take, change, report } = startSession(mesh())
    subscribe(destination())
    report('', take())
    const v2 = { ...destinationConfig().backends[0], key: 'shop/catalog-v2:8080' } as DestinationConfig['backends'][0]
    change(withDestination({ defaultBackend: v2.key, backends: [v2] }))
    expect(take().map(({ name }) => name)).toEqual(['shop/catalog-v2:8080/ipv4', CATALOG_KEY])
  })

  test('lets go of the endpoints that only a replaced configuration needed, once the next is applied', () => {
    const { session, subscribe, take, change, report } = startSession(mesh())
    subscribe(destination())
    report('', take())
    change(withDestination({ defaultBackend: 'shop/new:80', backends: [] }))
    const names = () => session.status().map(({ name }) => name)
    expect(names()).toEqual([CATALOG_KEY, LIST, 'shop/new:80/ipv4'])
    report('', take())
    expect(names()).toEqual([CATALOG_KEY, 'shop/new:80/ipv4'])
  })

  test('keeps the endpoints of a configuration current while the one after it is refused', () => {
    const { session, subscribe, take, change, report } = startSession(mesh())
    subscribe(destination())
    report('', take())
    const refused = { defaultBackend: 'shop/new:80', backends: [] }
    change(withDestination(refused))
    report('not here', take())

    const destinations = { [CATALOG_KEY]: destinationConfig(refused) }
    change(mesh({ destinations, endpoints: { [CATALOG_BACKEND]: [endpoint('10.77.0.9:80')] } }))

    expect(take()).toMatchObject([{ name: LIST, delta: { upserts: [{ address: '10.77.0.9:80' }] } }])
    expect(session.status().find(({ name }) => name === CATALOG_KEY)?.refused?.error).toBe('not here')
  })

  test('lets go of endpoints when the last destination that needs them is given up', () => {
    const destinations = { [CATALOG_KEY]: destinationConfig(), '10.96.0.8:80': destinationConfig() }
    const { session, subscribe, take, change } = startSession(mesh({ destinations }))
    subscribe(destination(), { type: 'DESTINATION', name: '10.96.0.8:80', version: '' })
    take()
    session.receive({ unsubscribe: { resources: [destination()] } })
    expect(session.status().map(({ name }) => name)).toEqual(['10.96.0.8:80', LIST])

    session.receive({ unsubscribe: { resources: [{ ...destination(), name: '10.96.0.8:80' }] } })
    expect(session.status()).toEqual([])
    change(withEndpoints(endpoint('10.77.0.9:80')))
    expect(take()).toEqual([])
  })

  test('sends a list whole when the sidecar says that it has lost it', () => {
    const { subscribe, take } = startSession(mesh())
    subscribe(destination())
    take()
    subscribe({ type: 'ENDPOINTS', name: LIST, version: '' })
    expect(take()).toMatchObject([{ name: LIST, endpoints: { endpoints: [{ address: '10.77.0.5:8080' }] } }])
  })

  test('sends no endpoints to a sidecar that has no destination which needs them', () => {
    const { subscribe, take } = startSession(mesh())
    subscribe({ type: 'ENDPOINTS', name: LIST, version: '' })
    expect(take()).toEqual([])
  })

  test('sends to a slow sidecar only the last state once it can take more', () => {
    const { subscribe, take, change, block, resume } = startSession(mesh())
    block()
    subscribe(destination())
    take()
    for (let port = 1; port <= 50; port++) change(withEndpoints(endpoint(`10.77.0.1:${port}`)))
    expect(take()).toEqual([])
    resume()
    expect(take()).toMatchObject([{ name: LIST, delta: { upserts: [{ address: '10.77.0.1:50' }] } }])
  })

  test('cuts a large answer into several messages', () => {
    const many = Array.from({ length: 6_000 }, (_, at) => endpoint(`10.77.${at >> 8}.${at & 255}:80`))
    const sizes: number[] = []
    const view = mesh({
      destinations: { [CATALOG_KEY]: destinationConfig() },
      endpoints: { [CATALOG_BACKEND]: many },
    })
    const session = new Session({
      caller: { namespace: 'shop', pod: 'web-0' },
      contents: createContents(view),
      history: createEndpointHistory(),
      maxSubscriptions: 10,
      send: ({ update }) => sizes.push(update?.resources.length ?? 0) > 0,
    })
    session.receive({ subscribe: { resources: [destination()] } })
    expect(sizes).toEqual([1, 1])
  })

  test('says of an address in the ranges of the mesh that it alone is not ours', () => {
    const { subscribe, take } = startSession(mesh())
    subscribe({ ...destination(), name: '10.96.0.99:80' }, { ...destination(), name: '203.0.113.9:443' })
    expect(take()).toMatchObject([{ notOurs: { cidr: '' } }, { notOurs: { cidr: '128.0.0.0/1' } }])
  })

  test('tells anew when the range that is not ours has changed', () => {
    const { subscribe, take, change } = startSession(mesh({ ranges: ['10.77.0.0/16'] }))
    subscribe({ ...destination(), name: '203.0.113.9:443' })
    take()
    change(mesh({ ranges: ['10.77.0.0/16', '203.0.0.0/24'] }))
    expect(take()).toMatchObject([{ notOurs: { cidr: '203.0.64.0/18' } }])
  })

  test.each([
    [{}, status.INVALID_ARGUMENT],
    [{ hello: { pod: 'web-0', software: '', addresses: [], openedAtMs: 0 } }, status.INVALID_ARGUMENT],
    [{ subscribe: { resources: [{ type: 'WORKLOAD', name: 'cart-0', version: '' }] } }, status.PERMISSION_DENIED],
    [{ subscribe: { resources: [{ type: 'DESTINATION', name: 'x', version: '' }] } }, status.INVALID_ARGUMENT],
  ] as const)('ends on a message out of place: %j', (message, code) => {
    const { session } = startSession(mesh())
    expect(() => session.receive(message)).toThrow(expect.objectContaining({ code }))
  })

  test('callers in one place share what is made for them, and those elsewhere get their own', () => {
    const asked: string[] = []
    const view: ModelView = {
      ...mesh(),
      placeOf: (_, pod) => ({ node: '', zone: pod === 'web-2' ? 'b' : 'a' }),
      endpoints(_, family, { zone }) {
        asked.push(`${family} ${zone}`)
        return [endpoint(`10.77.0.${zone === 'a' ? 1 : 2}:80`)]
      },
    }
    const contents = createContents(view)
    const addressesFor = (pod: string) => {
      const content = contents.of('ENDPOINTS', LIST, { namespace: 'shop', pod })
      return content !== null && 'endpoints' in content ? content.endpoints.map(({ address }) => address) : []
    }
    expect(['web-0', 'web-1', 'web-2', 'web-0', 'web-2'].map(addressesFor)).toEqual([
      ['10.77.0.1:80'],
      ['10.77.0.1:80'],
      ['10.77.0.2:80'],
      ['10.77.0.1:80'],
      ['10.77.0.2:80'],
    ])
    expect(asked).toEqual(['ipv4 a', 'ipv4 b'])
  })

  test('counts a subscription that is made anew once', () => {
    const { subscribe } = startSession(mesh(), 1)
    for (let time = 0; time < 5; time++) subscribe(destination())
    expect(() => subscribe({ ...destination(), name: '10.96.0.8:80' })).toThrow(
      expect.objectContaining({ code: status.RESOURCE_EXHAUSTED }),
    )
  })

  test('ignores a report of what was never asked for', () => {
    const { session } = startSession(mesh())
    const applied = [{ ...destination('v1'), error: 'x' }]
    session.receive({ report: { applied } })
    expect(session.status()).toEqual([])
  })
})
