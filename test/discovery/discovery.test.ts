import { beforeAll, describe, expect, test } from 'vitest'
import {
  CATALOG,
  CATALOG_BACKEND,
  CATALOG_KEY,
  destinationConfig,
  endpoint,
  eventually,
  mesh,
  startControl,
  startSidecar,
  untilTrue,
  workloadConfig,
} from '../support/discovery.ts'
import { createTestAuthority, type TestAuthority } from '../support/svid.ts'

let authority: TestAuthority
beforeAll(async () => {
  authority = await createTestAuthority()
})

const addresses = (endpoints: readonly { readonly address: { readonly host: string } }[]) =>
  endpoints.map(({ address }) => address.host)

describe('a sidecar', () => {
  test('learns a destination with its endpoints when it first sees it', async () => {
    await using control = await startControl(authority)
    await using sidecar = await startSidecar(authority, control.address)

    expect(sidecar.discovery.known(CATALOG)).toBeUndefined()
    const found = await sidecar.discovery.find(CATALOG)

    expect(found?.config.current).toEqual(destinationConfig())
    expect(addresses(found?.endpoints(CATALOG_BACKEND).current ?? [])).toEqual(['10.77.0.5'])
    expect(sidecar.discovery.known(CATALOG)).toBe(found)
    await eventually(sidecar.discovery.workload, (workload) => workload !== undefined)
    expect(sidecar.discovery.workload.current).toEqual(workloadConfig())
  })

  test('is told when endpoints come and go, and keeps the objects of those that stay', async () => {
    await using control = await startControl(authority)
    await using sidecar = await startSidecar(authority, control.address)
    const found = await sidecar.discovery.find(CATALOG)
    const set = found?.endpoints(CATALOG_BACKEND)
    if (set === undefined) throw new Error('catalog is not found')
    const [stays] = set.current

    control.model.set(
      mesh({ endpoints: { [CATALOG_BACKEND]: [endpoint('10.77.0.5:8080'), endpoint('10.77.0.6:8080')] } }),
    )
    await eventually(set, (endpoints) => endpoints.length === 2)
    expect(set.current[0]).toBe(stays)

    control.model.set(mesh({ endpoints: { [CATALOG_BACKEND]: [endpoint('10.77.0.6:8080')] } }))
    await eventually(set, (endpoints) => endpoints.length === 1)
    expect(addresses(set.current)).toEqual(['10.77.0.6'])
  })

  test('reports what it applies, and control counts it by object', async () => {
    await using control = await startControl(authority)
    await using one = await startSidecar(authority, control.address)
    await using other = await startSidecar(authority, control.address, { pod: 'web-1' })
    await Promise.all([one.discovery.find(CATALOG), other.discovery.find(CATALOG)])

    const { sidecars } = control.server
    await untilTrue(
      () => sidecars.statuses().length === 2 && sidecars.statuses().every((one) => one.lagging.length === 0),
    )
    expect(sidecars.objects()).toMatchObject([{ object: 'Service shop/catalog', applied: 2, of: 2 }])
  })

  test('refuses a configuration that does not pass its check, keeps the one before and says why', async () => {
    await using control = await startControl(authority)
    await using sidecar = await startSidecar(authority, control.address, {
      validate(config) {
        if ('protocol' in config && config.protocol === 'opaque') throw new Error('this build cannot do opaque')
      },
    })
    const found = await sidecar.discovery.find(CATALOG)

    control.model.set(mesh({ destinations: { [CATALOG_KEY]: destinationConfig({ protocol: 'opaque' }) } }))

    const { sidecars } = control.server
    await untilTrue(() => (sidecars.statuses()[0]?.refused.length ?? 0) > 0)
    expect(found?.config.current.protocol).toBe('http')
    expect(sidecars.objects()).toMatchObject([
      { applied: 0, of: 1, lagging: ['web-0'], refused: [{ pod: 'web-0', error: 'this build cannot do opaque' }] },
    ])

    control.model.set(mesh({ destinations: { [CATALOG_KEY]: destinationConfig({ protocol: 'detect' }) } }))
    await untilTrue(() => found?.config.current.protocol === 'detect')
    await untilTrue(() => sidecars.objects()[0]?.applied === 1)
  })

  test('asks once for a whole range that is not of the mesh', async () => {
    await using control = await startControl(authority)
    await using sidecar = await startSidecar(authority, control.address)

    expect(await sidecar.discovery.find({ host: '203.0.113.9', port: 443 })).toBeNull()

    expect(sidecar.discovery.known({ host: '198.51.100.1', port: 80 })).toBeNull()
    expect(sidecar.discovery.known({ host: '10.96.0.99', port: 80 })).toBeUndefined()
    expect(await sidecar.discovery.find({ host: '10.96.0.99', port: 80 })).toBeNull()
    expect(sidecar.discovery.known({ host: '10.96.0.98', port: 80 })).toBeUndefined()
  })

  test('learns that an address has become one of the mesh', async () => {
    await using control = await startControl(authority, { model: mesh({ ranges: ['10.77.0.0/16'], destinations: {} }) })
    await using sidecar = await startSidecar(authority, control.address)
    expect(await sidecar.discovery.find(CATALOG)).toBeNull()

    control.model.set(mesh())

    await untilTrue(() => sidecar.discovery.known(CATALOG) != null)
    const found = sidecar.discovery.known(CATALOG)
    expect(addresses(found?.endpoints(CATALOG_BACKEND).current ?? [])).toEqual(['10.77.0.5'])
  })

  test('is answered only when control has a model', async () => {
    await using control = await startControl(authority, { model: undefined })
    await using sidecar = await startSidecar(authority, control.address, { limits: { firstSightMs: 50 } })

    expect(await sidecar.discovery.find(CATALOG)).toBeNull()
    expect(sidecar.discovery.isConnected.current).toBe(false)

    control.model.set(mesh())
    await untilTrue(() => sidecar.discovery.known(CATALOG) != null)
  })

  test('keeps its stream through 1,000 pushes and ends with the last of them', async () => {
    await using control = await startControl(authority)
    await using sidecar = await startSidecar(authority, control.address)
    const found = await sidecar.discovery.find(CATALOG)
    const set = found?.endpoints(CATALOG_BACKEND)
    if (set === undefined) throw new Error('catalog is not found')
    let losses = 0
    sidecar.discovery.isConnected.subscribe((isConnected) => {
      if (!isConnected) losses++
    })

    for (let push = 1; push <= 1000; push++) {
      const endpoints = {
        [CATALOG_BACKEND]: [endpoint('10.77.0.5:8080', { weight: push }), endpoint(`10.77.1.1:${push}`)],
      }
      control.model.set(mesh({ endpoints, workload: workloadConfig({ labels: { push: String(push) } }) }))
      if (push % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
    }

    await eventually(set, ([first]) => first?.weight === 1000)
    await eventually(sidecar.discovery.workload, (workload) => workload?.labels['push'] === '1000')
    expect(set.current).toHaveLength(2)
    expect(losses).toBe(0)
  })
})
