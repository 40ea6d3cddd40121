// Whatever happens to the objects of a cluster, what was compiled step by step is what would be compiled from all of them at once.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ManualClock } from '#shared/clock.ts'
import { silentLog } from '#shared/log.ts'
import {
  anyChange,
  type Cluster,
  EMPTY_CLUSTER,
  HOSTS,
  NAMES,
  NAMESPACES,
  NODES,
  PORTS,
} from '../../test/support/changing-cluster.ts'
import { compile, type Model } from '../model/compile.ts'
import { describeRef, type ObjectStatus } from '../model/status.ts'
import { FACTS } from './kubernetes.fixture.ts'
import { KubernetesKeeper } from './kubernetes-keeper.ts'
import { toDocuments, toWorld } from './kubernetes-world.ts'

const named = NAMESPACES.flatMap((namespace) => NAMES.map((name) => `${namespace}/${name}`))
const addresses = HOSTS.flatMap((host) => PORTS.map((port) => `${host}:${port}`))
const backends = named.flatMap((name) => PORTS.flatMap((port) => [`${name}:${port}`, `${name}.pod:${port}`]))
const places = [undefined, ...NODES.flatMap((node) => ['a', 'b'].map((zone) => ({ node, zone })))]

const byAddress = (one: { address: string }, other: { address: string }) => (one.address < other.address ? -1 : 1)
const byObject = (one: ObjectStatus, other: ObjectStatus) =>
  describeRef(one.object) < describeRef(other.object) ? -1 : Number(describeRef(one.object) > describeRef(other.object))

/** Every answer to every question that can be asked. */
function allOf(model: Model) {
  const destinations = addresses.flatMap((key) =>
    NAMESPACES.map((namespace) => [key, namespace, model.destination(key, namespace)]),
  )
  const endpoints = backends.flatMap((key) =>
    places.map((place) => [key, place, model.endpoints(key, 'ipv4', place).toSorted(byAddress)]),
  )
  return {
    destinations,
    endpoints,
    ranges: model.ranges,
    statuses: model.statuses.toSorted(byObject),
    pods: named.map((pod) => [pod, model.pod(pod), model.workload(pod), model.workloadObjects(pod)]),
    placesOf: named.flatMap((service) => named.map((pod) => [service, pod, model.placeOf(`${service}:80`, pod)])),
    slices: named.map((service) => [
      service,
      model.slicesOf(service).map(({ ports, endpoints: list }) => ({ ports, endpoints: list })),
    ]),
    documents: model.documents.map(({ name }) => name).sort(),
  }
}

function keep() {
  const keeper = new KubernetesKeeper({ ...FACTS, clock: new ManualClock(), log: silentLog })
  return (cluster: Cluster): Model => {
    keeper.take(cluster)
    return keeper.model.current as Model
  }
}

const inOnePiece = (cluster: Cluster): Model => compile(toDocuments(cluster), toWorld(cluster, FACTS))

test('any sequence of changes ends in what a compilation of all objects gives, after each of them', () => {
  fc.assert(
    fc.property(fc.array(anyChange, { minLength: 1, maxLength: 30 }), (changes) => {
      const take = keep()
      let cluster = EMPTY_CLUSTER
      for (const change of changes) {
        cluster = change.to(cluster)
        const stepwise = allOf(take(cluster))
        const { statuses, ...whole } = allOf(inOnePiece(cluster))
        // Of what is refused the compiler of documents knows nothing.
        expect({ ...stepwise, statuses: stepwise.statuses.filter(isOfDocument(stepwise.documents)) }).toEqual({
          ...whole,
          statuses,
        })
        expect(stepwise.statuses).toEqual(keep()(cluster).statuses.toSorted(byObject))
      }
    }),
    { numRuns: 25 },
  )
}, 180_000)

const isOfDocument =
  (documents: readonly string[]) =>
  ({ object }: ObjectStatus) =>
    documents.includes(describeRef(object))
