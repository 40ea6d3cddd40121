// What a failure on the whole node says of the machine.
import { expect, test } from 'vitest'
import { type NodeObject, type PodObject, troublesOf } from '../e2e/kubernetes/machine.ts'

const node = (...conditions: readonly object[]) =>
  ({ metadata: { name: 'one' }, status: { conditions } }) as unknown as NodeObject
const pod = (status: object) => ({ metadata: { namespace: 'shop', name: 'web-1' }, status }) as unknown as PodObject
const READY = { type: 'Ready', status: 'True' }
const waiting = (reason: string) => [{ image: 'mesh.local/shop:dev', state: { waiting: { reason, message: 'm' } } }]

test('a node that is ready with pods that run, start or crash is no trouble of the machine', () => {
  const pods = [{ containerStatuses: waiting('CrashLoopBackOff') }, { containerStatuses: waiting('PodInitializing') }]
  const calm = [READY, { type: 'DiskPressure', status: 'False' }]
  expect(troublesOf([node(...calm)], [pod({}), ...pods.map(pod)])).toEqual([])
})

test.each([
  ['no node', [], {}, 'the cluster has no node'],
  [
    'a node that is not ready',
    [node({ type: 'Ready', status: 'Unknown', reason: 'NodeStatusUnknown', message: 'gone' })],
    {},
    'node one is not ready: NodeStatusUnknown: gone',
  ],
  ['a node that has not told yet', [node()], {}, 'node one is not ready: it says nothing'],
  [
    'a full disk',
    [node(READY, { type: 'DiskPressure', status: 'True', reason: 'Full', message: 'm' })],
    {},
    'node one has DiskPressure: Full: m',
  ],
  [
    'an image that is not loaded',
    [node(READY)],
    { initContainerStatuses: waiting('ErrImageNeverPull') },
    'image mesh.local/shop:dev of pod shop/web-1 is not in the node: ErrImageNeverPull: m',
  ],
  [
    'a pod without a place',
    [node(READY)],
    { conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: 'cpu' }] },
    'pod shop/web-1 has no place: cpu',
  ],
  ['an evicted pod', [node(READY)], { reason: 'Evicted', message: 'disk' }, 'pod shop/web-1 was evicted: disk'],
])('%s is told', (_, nodes, status, said) => {
  expect(troublesOf(nodes, [pod(status)])).toEqual([said])
})
