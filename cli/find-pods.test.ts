import { expect, test } from 'vitest'
import { findPod, findPods } from './find-pods.ts'
import type { MeshState, PodState } from './up/state.ts'

const pod = (name: string, workload: string, ready: boolean) => ({ name, workload, ready }) as PodState
const MESH = {
  name: 'demo',
  pods: [pod('web-0', 'web', false), pod('catalog-v1-0', 'catalog-v1', false), pod('catalog-v2-0', 'catalog-v2', true)],
  services: [
    { name: 'catalog', namespace: 'shop', pods: ['catalog-v1-0', 'catalog-v2-0'] },
    { name: 'empty', namespace: 'shop', pods: [] as string[] },
  ],
} as unknown as MeshState
const names = (word: string) => findPods(MESH, word).map(({ name }) => name)

test('a word means a pod, a workload, or all pods of a service', () => {
  expect(names('web-0')).toEqual(['web-0'])
  expect(names('web')).toEqual(['web-0'])
  expect(names('catalog')).toEqual(['catalog-v1-0', 'catalog-v2-0'])
  expect(names('catalog.shop')).toEqual(['catalog-v1-0', 'catalog-v2-0'])
})

test('where one pod is enough, one that is ready is taken', () => {
  expect(findPod(MESH, 'catalog').name).toBe('catalog-v2-0')
  expect(findPod(MESH, 'web').name).toBe('web-0')
})

test('a word that means nothing is answered with what there is', () => {
  expect(() => findPods(MESH, 'catalogue')).toThrow(
    expect.objectContaining({
      message: 'mesh demo has no service, workload or pod "catalogue"',
      wayOut: 'It has: catalog, empty, web, catalog-v1, catalog-v2; pods: web-0, catalog-v1-0, catalog-v2-0',
    }),
  )
  expect(() => findPods(MESH, 'empty')).toThrow('service empty has no pods')
})
