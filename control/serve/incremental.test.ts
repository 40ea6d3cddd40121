// Sidecars that stay connected while a cluster changes: each is sent what it needs, and one that nothing concerns is left alone.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ManualClock } from '#shared/clock.ts'
import { silentLog } from '#shared/log.ts'
import {
  anyChange,
  type Cluster,
  EMPTY_CLUSTER,
  HOSTS,
  NAMESPACES,
  PORTS,
} from '../../test/support/changing-cluster.ts'
import { compile, type Model } from '../model/compile.ts'
import { FACTS, pod, service, slice } from '../watch/kubernetes.fixture.ts'
import { KubernetesKeeper } from '../watch/kubernetes-keeper.ts'
import { readPod } from '../watch/kubernetes-pods.ts'
import { readService, readSlice } from '../watch/kubernetes-services.ts'
import { toDocuments, toWorld } from '../watch/kubernetes-world.ts'
import { type Caller, createContents } from './content.ts'
import { createEndpointHistory } from './delta.ts'
import { Session } from './session.ts'
import { contentsByModel } from './stream.ts'

const ADDRESSES = HOSTS.flatMap((host) => PORTS.map((port) => `${host}:${port}`))

/** A cluster whose control has sidecars connected, which tell that they apply what they are sent. */
function startControl(callers: readonly Caller[], names: readonly string[]) {
  const keeper = new KubernetesKeeper({ ...FACTS, clock: new ManualClock(), log: silentLog })
  const contentsOf = contentsByModel()
  const take = (cluster: Cluster): Model => {
    keeper.take(cluster)
    return keeper.model.current as Model
  }
  const contents = contentsOf(take(EMPTY_CLUSTER))
  const sidecars = callers.map((caller) => connect(caller, contents, names))
  return {
    sidecars,
    take(cluster: Cluster): void {
      const next = contentsOf(take(cluster))
      for (const { session } of sidecars) session.serve(next)
    },
  }
}

function connect(caller: Caller, contents: ReturnType<typeof createContents>, names: readonly string[]) {
  /** Versions by "DESTINATION 10.96.0.7:80". */
  const held = new Map<string, string>()
  const session = new Session({
    caller,
    contents,
    history: createEndpointHistory(),
    maxSubscriptions: 100,
    send({ update }) {
      for (const { type, name, version } of update?.resources ?? []) held.set(`${type} ${name}`, version)
      return true
    },
  })
  const asked = names.map((name) => ({ type: 'DESTINATION' as const, name, version: '' }))
  session.receive({ subscribe: { resources: [{ type: 'WORKLOAD', name: caller.pod, version: '' }, ...asked] } })
  return { caller, session, held }
}

/** What a sidecar that had just come would hold. */
function wantedBy(caller: Caller, cluster: Cluster): ReadonlyMap<string, string> {
  const { held } = connect(caller, createContents(compile(toDocuments(cluster), toWorld(cluster, FACTS))), ADDRESSES)
  return held
}

test('whatever changes, a sidecar that stays holds what one that just came would be sent', () => {
  const callers = NAMESPACES.map((namespace) => ({ namespace, pod: `${namespace}/one` }))
  fc.assert(
    fc.property(fc.array(anyChange, { minLength: 1, maxLength: 30 }), (changes) => {
      const control = startControl(callers, ADDRESSES)
      let cluster = EMPTY_CLUSTER
      for (const change of changes) {
        cluster = change.to(cluster)
        control.take(cluster)
        for (const { caller, held } of control.sidecars)
          for (const [name, version] of wantedBy(caller, cluster))
            expect([name, held.get(name)]).toEqual([name, version])
      }
    }),
    { numRuns: 25 },
  )
}, 180_000)

test('a sidecar that nothing of a change concerns is not looked at', () => {
  const second = { clusterIP: '10.96.0.8', clusterIPs: ['10.96.0.8'] }
  const cluster = {
    ...EMPTY_CLUSTER,
    services: new Map([
      ['shop/catalog', readService(service())],
      ['shop/other', readService(service(second, 'other'))],
    ]),
    pods: new Map([10, 11].map((host) => [`shop/catalog-${host}`, readPod(pod(`catalog-${host}`, host))])),
  } as unknown as Cluster
  const listed = (...hosts: number[]) =>
    new Map([
      [
        'shop/catalog-x',
        readSlice(slice(hosts.map((host) => ({ name: `catalog-${host}`, host: `10.244.0.${host}` })))),
      ],
    ])
  const withSlices = (...hosts: number[]) => ({ ...cluster, slices: listed(...hosts) }) as unknown as Cluster
  const { sidecars, take } = startControl([{ namespace: 'front', pod: 'front/web' }], ['10.96.0.7:80'])
  const { sidecars: others, take: takeToo } = startControl([{ namespace: 'front', pod: 'front/web' }], ['10.96.0.8:80'])
  const revisionsOf = (all: typeof sidecars) => all.map(({ session }) => session.revision)
  for (const run of [take, takeToo]) run(withSlices(10))
  const [before, beforeToo] = [revisionsOf(sidecars), revisionsOf(others)]
  const version = () => sidecars[0]?.held.get('ENDPOINTS shop/catalog:80/ipv4')
  const versionBefore = version()

  for (const run of [take, takeToo]) run(withSlices(10, 11))

  expect(revisionsOf(sidecars)).not.toEqual(before)
  expect(version()).not.toBe(versionBefore)
  expect(revisionsOf(others)).toEqual(beforeToo)
})
