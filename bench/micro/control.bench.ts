// What a change of one EndpointSlice costs control in a large cluster whose sidecars are all connected: CPU milliseconds.

import { ManualClock } from '#shared/clock.ts'
import type { KubeObject } from '#shared/kube/objects.ts'
import { silentLog } from '#shared/log.ts'
import { createEndpointHistory } from '../../control/serve/delta.ts'
import { Session } from '../../control/serve/session.ts'
import { contentsByModel } from '../../control/serve/stream.ts'
import { FACTS, pod, service, slice } from '../../control/watch/kubernetes.fixture.ts'
import { KubernetesKeeper } from '../../control/watch/kubernetes-keeper.ts'
import { readPod } from '../../control/watch/kubernetes-pods.ts'
import { readService, readSlice } from '../../control/watch/kubernetes-services.ts'
import type { KubeObjects } from '../../control/watch/kubernetes-world.ts'

const SERVICES = 1000
const PODS_EACH = 5
const CALLED_EACH = 10
const CHANGES = 41

const numbers = (count: number) => Array.from({ length: count }, (_, index) => index)
const hostOf = (range: string, index: number) => `${range}.${index >> 8}.${index & 255}`
const podsOf = (at: number) => numbers(PODS_EACH).map((index) => at * PODS_EACH + index)

function podAt(index: number): KubeObject {
  const labels = { app: `s-${Math.floor(index / PODS_EACH)}` }
  const made = pod(`pod-${index}`, 0, { metadata: { labels } })
  return { ...made, status: { ...(made['status'] as object), podIPs: [{ ip: hostOf('10.244', index) }] } }
}

function sliceOf(at: number, pods: readonly number[]): KubeObject {
  const made = slice(pods.map((index) => ({ name: `pod-${index}`, host: hostOf('10.244', index) })))
  const labels = { 'kubernetes.io/service-name': `s-${at}` }
  return { ...made, metadata: { namespace: 'shop', name: `s-${at}-x`, labels } }
}

function mapOf<T>(count: number, prefix: string, read: (index: number) => T | undefined): ReadonlyMap<string, T> {
  const entries = numbers(count).map((index) => [`shop/${prefix}-${index}`, read(index)] as const)
  return new Map(entries.flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])))
}

function spent(run: () => void): number {
  const from = process.cpuUsage()
  run()
  const { user, system } = process.cpuUsage(from)
  return (user + system) / 1000
}

const print = (name: string, ms: number) => console.log(`${name.padEnd(60)} ${ms.toFixed(1).padStart(6)} ms`)

let cluster: KubeObjects = {
  services: mapOf(SERVICES, 's', (at) => readService(service({ clusterIPs: [hostOf('10.96', at)] }, `s-${at}`))),
  pods: mapOf(SERVICES * PODS_EACH, 'pod', (index) => readPod(podAt(index))),
  slices: mapOf(SERVICES, 'slice', (at) => readSlice(sliceOf(at, podsOf(at)))),
  nodes: new Map(),
  grants: new Map(),
  documents: [],
}
const keeper = new KubernetesKeeper({ ...FACTS, clock: new ManualClock(), log: silentLog })
const contentsOf = contentsByModel()
const history = createEndpointHistory()
const take = () => {
  keeper.take(cluster)
  if (keeper.model.current === undefined) throw new Error('no model')
  return contentsOf(keeper.model.current)
}
print('1,000 services and 5,000 pods, for the first time', spent(take))

let messages = 0
const sessions = numbers(SERVICES * PODS_EACH).map((index) => {
  const name = `shop/pod-${index}`
  const send = () => {
    messages++
    return true
  }
  const caller = { namespace: 'shop', pod: name }
  const session = new Session({ caller, contents: take(), history, maxSubscriptions: 100, send })
  const called = numbers(CALLED_EACH).map((at) => `${hostOf('10.96', (index * 7 + at) % SERVICES)}:80`)
  const asked = called.map((address) => ({ type: 'DESTINATION' as const, name: address, version: '' }))
  session.receive({ subscribe: { resources: [{ type: 'WORKLOAD', name, version: '' }, ...asked] } })
  return session
})

const costs = numbers(CHANGES).map((at) => {
  const next = readSlice(sliceOf(at, podsOf(at).slice(1)))
  if (next !== undefined) cluster = { ...cluster, slices: new Map(cluster.slices).set(`shop/slice-${at}`, next) }
  messages = 0
  return spent(() => {
    const contents = take()
    for (const session of sessions) session.serve(contents)
  })
})
const median = costs.toSorted((a, b) => a - b)[CHANGES >> 1] ?? Number.NaN
print(`one EndpointSlice of them, 5,000 sidecars, ${messages} of them told`, median)
