// Client, informers and leases against a real API server: what the fake one of the unit tests only imitates.
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '#shared/clock.ts'
import { createKubeClient, type KubeClient } from '#shared/kube/client.ts'
import { inCluster } from '#shared/kube/config.ts'
import { isConflict, isGone, isNotFound } from '#shared/kube/error.ts'
import { createInformer, type Informer } from '#shared/kube/informer.ts'
import { startLeader } from '#shared/kube/leader.ts'
import { CONFIG_MAPS, type KubeKind, LEASES, SERVICES, TRAFFIC_POLICIES } from '#shared/kube/objects.ts'
import { silentLog } from '#shared/log.ts'
import { customResourceDefinitions } from '#shared/resources/crd/definitions.ts'
import { until } from '#shared/watch.ts'
import { type ApiServer, startApiServer } from '../support/apiserver.ts'
import { createNamespace, createService } from '../support/cluster-objects.ts'

const hasty = { ...systemClock, after: (ms: number, run: () => void) => systemClock.after(Math.min(ms, 200), run) }
const parts = { clock: hasty, random: () => 0, log: silentLog }
const deadline = () => AbortSignal.timeout(60_000)

describe('against a real API server', () => {
  let api: ApiServer
  beforeAll(async () => {
    api = await startApiServer()
  }, 120_000)
  afterAll(() => api?.[Symbol.asyncDispose](), 30_000)

  const start = (kind: KubeKind, more: object = {}) =>
    createInformer({
      ...parts,
      client: api.client,
      kind,
      project: ({ metadata }) => ({ name: metadata.name ?? '', labels: metadata.labels ?? {} }),
      ...more,
    })
  const sized = (informer: Informer<unknown>, namespace: string, size: number) =>
    until(
      informer.objects,
      (map): map is typeof map => [...map.keys()].filter((key) => key.startsWith(`${namespace}/`)).length === size,
      deadline(),
    )

  test('objects are listed in pages and then watched', async () => {
    await createNamespace(api.client, 'pages')
    for (let index = 0; index < 7; index++) {
      await api.client.create(CONFIG_MAPS, { metadata: { namespace: 'pages', name: `c${index}` } })
    }
    const informer = start(CONFIG_MAPS, { pageSize: 3, namespace: 'pages' })
    await sized(informer, 'pages', 7)
    await api.client.create(CONFIG_MAPS, { metadata: { namespace: 'pages', name: 'late' } })
    await sized(informer, 'pages', 8)
    await api.client.patch(CONFIG_MAPS, { namespace: 'pages', name: 'late' }, { metadata: { labels: { a: 'b' } } })
    await until(
      informer.objects,
      (map): map is typeof map => (map.get('pages/late') as { labels: Record<string, string> }).labels['a'] === 'b',
      deadline(),
    )
    await api.client.remove(CONFIG_MAPS, { namespace: 'pages', name: 'c0' })
    await sized(informer, 'pages', 7)
    informer.close()
  })

  test('a bookmark near the end of a watch moves on the version from which the next one is asked', async () => {
    for (const name of ['quiet', 'busy']) await createNamespace(api.client, name)
    // Since the last list: a watch that fails is followed by another list, which tells of the version too.
    let seen: string[] = []
    let asked: string[] = []
    const second = Promise.withResolvers<string>()
    const client: Pick<KubeClient, 'list' | 'watch'> = {
      list(...wanted) {
        seen = []
        asked = []
        return api.client.list(...wanted)
      },
      async *watch(kind, options) {
        asked.push(options.resourceVersion)
        if (asked.length === 2) second.resolve(options.resourceVersion)
        // The API server sends one two seconds before it ends a watch, and else each minute.
        for await (const events of api.client.watch(kind, { ...options, timeoutSeconds: 6 })) {
          seen.push(...events.map(({ type }) => type))
          yield events
        }
      },
    }
    const informer = start(CONFIG_MAPS, { client, namespace: 'quiet' })
    try {
      await sized(informer, 'quiet', 0)
      const { metadata } = await api.client.create(CONFIG_MAPS, { metadata: { namespace: 'busy', name: 'other' } })
      expect(Number(await second.promise)).toBeGreaterThanOrEqual(Number(metadata.resourceVersion))
      // Nothing else told of it.
      expect(new Set(seen)).toEqual(new Set(['BOOKMARK']))
    } finally {
      informer.close()
    }
  }, 180_000)

  test('an informer lives through a restart of the API server and sees what changed meanwhile', async () => {
    await createNamespace(api.client, 'restart')
    await createService(api.client, 'restart', 'before')
    const informer = start(SERVICES, { namespace: 'restart' })
    await sized(informer, 'restart', 1)
    const sizes: number[] = []
    informer.objects.subscribe((map) => sizes.push(map.size))
    await api.restart()
    await createService(api.client, 'restart', 'after')
    await sized(informer, 'restart', 2)
    expect(sizes).toEqual([2])
    informer.close()
    // It has begun anew, so that it keeps no versions from before.
    const events = api.client.watch(SERVICES, { resourceVersion: '1', timeoutSeconds: 5, signal: deadline() })
    const said = await Array.fromAsync(events).then(
      (batches) => batches.flat().find(({ type }) => type === 'ERROR')?.object['code'],
      (error: unknown) => (isGone(error) ? 410 : error),
    )
    expect(said).toBe(410)
  }, 120_000)

  /** Watches that the server ends after two seconds instead of minutes, and what was asked. */
  function impatient(client: KubeClient) {
    const asked = { lists: 0, watches: 0 }
    const wrapped: Pick<KubeClient, 'list' | 'watch'> = {
      list(kind, options) {
        asked.lists++
        return client.list(kind, options)
      },
      watch(kind, options) {
        asked.watches++
        return client.watch(kind, { ...options, timeoutSeconds: 2 })
      },
    }
    return { client: wrapped, asked }
  }

  test('a watch that the server ends is begun again where it was, without a new list', async () => {
    await createNamespace(api.client, 'ends')
    const { client, asked } = impatient(api.client)
    const informer = start(CONFIG_MAPS, { client, namespace: 'ends' })
    await until(informer.state, (state): state is 'synced' => state === 'synced', deadline())
    await expect.poll(() => asked.watches, { timeout: 30_000 }).toBeGreaterThan(2)
    await api.client.create(CONFIG_MAPS, { metadata: { namespace: 'ends', name: 'late' } })
    await sized(informer, 'ends', 1)
    expect(asked.lists).toBe(1)
    informer.close()
  }, 180_000)

  test('a token that is refused is read anew from its file, and what is known stays known meanwhile', async () => {
    await createNamespace(api.client, 'tokens')
    await api.client.create(CONFIG_MAPS, { metadata: { namespace: 'tokens', name: 'one' } })
    await using folder = await mkdtempDisposable(join(tmpdir(), 'weft-token-'))
    const { ca = '', token = '' } = await api.connection.credentials()
    const write = (text: string) => writeFile(join(folder.path, 'token'), text)
    await writeFile(join(folder.path, 'ca.crt'), ca)
    await write(token)
    const { hostname, port } = api.connection.server
    const connection = inCluster(hostname, port, folder.path)
    const own = createKubeClient({ connection, clock: systemClock, userAgent: 'test' })
    const informer = start(CONFIG_MAPS, { client: impatient(own).client, namespace: 'tokens' })
    await sized(informer, 'tokens', 1)
    await write('an-expired-one')
    const failure = await until(informer.failure, (said): said is string => said !== null, deadline())
    expect(failure).toContain('401 Unauthorized')
    expect(informer.objects.current.size).toBe(1)
    await api.client.create(CONFIG_MAPS, { metadata: { namespace: 'tokens', name: 'two' } })
    await write(token)
    await sized(informer, 'tokens', 2)
    informer.close()
    own.close()
  }, 180_000)

  test('a kind whose CRD comes later is missing until then', async () => {
    const informer = start(TRAFFIC_POLICIES)
    await until(informer.state, (state): state is 'missing' => state === 'missing', deadline())
    for (const definition of customResourceDefinitions()) await api.installCrd(definition)
    await until(informer.state, (state): state is 'synced' => state === 'synced', deadline())
    informer.close()
  }, 180_000)

  test('errors name the call, the kind and the object', async () => {
    await createNamespace(api.client, 'errors')
    const name = { namespace: 'errors', name: 'none' }
    const missing = await api.client.get(SERVICES, name).catch((error: unknown) => error)
    expect(isNotFound(missing)).toBe(true)
    expect(`${missing}`).toBe('KubeError: get Service errors/none: 404 services "none" not found')
    await api.client.create(CONFIG_MAPS, { metadata: name })
    const again = await api.client.create(CONFIG_MAPS, { metadata: name }).catch((error: unknown) => error)
    expect(isConflict(again)).toBe(true)
    const stranger = createKubeClient({ connection: api.as('stranger'), clock: systemClock, userAgent: 'test' })
    const refused = await stranger.list(SERVICES).catch((error: unknown) => error)
    expect(`${refused}`).toMatch(/^KubeError: list services: 403 services is forbidden: User .*web.* cannot list/)
    stranger.close()
  })

  test('of two candidates one leads, and the other when that one lets go', async () => {
    await createNamespace(api.client, 'leases')
    const candidate = (identity: string) =>
      startLeader({ ...parts, client: api.client, namespace: 'leases', name: 'status', identity })
    const one = candidate('one')
    await until(one.isLeader, (is): is is true => is, deadline())
    const other = candidate('other')
    const lease = () => api.client.get(LEASES, { namespace: 'leases', name: 'status' })
    expect((await lease())['spec']).toMatchObject({ holderIdentity: 'one', leaseDurationSeconds: 15 })
    expect(other.isLeader.current).toBe(false)
    await one.close()
    await until(other.isLeader, (is): is is true => is, deadline())
    await other.close()
    expect((await lease())['spec']).toMatchObject({ holderIdentity: '' })
  }, 180_000)
})
