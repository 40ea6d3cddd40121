import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { helmTemplate } from './helm.ts'

interface Container {
  readonly [field: string]: unknown
  readonly image: string
}
interface Pod {
  readonly [field: string]: unknown
  readonly containers: readonly Container[]
}
interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Record<string, string> }
  readonly spec?: { readonly template?: { readonly spec: Pod }; readonly [field: string]: unknown }
}

const read = (text: string) => parseAllDocuments(text).map((document) => document.toJS() as Manifest)
const chart = (): readonly Manifest[] => read(helmTemplate('weft', '-f', 'charts/weft/values-demo.yaml'))

/** What the shop does, without what an installation adds to it: image, labels, limits, Pod Security. */
function essence(objects: readonly Manifest[]): Record<string, unknown> {
  const added = ['image', 'imagePullPolicy', 'resources', 'securityContext']
  const bare = (_: string, inner: unknown) => {
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner
    return Object.fromEntries(Object.entries(inner).filter(([name]) => !added.includes(name)))
  }
  return Object.fromEntries(
    objects.map(({ apiVersion, kind, metadata, ...rest }) => [
      `${apiVersion} ${kind} ${metadata.name}`,
      JSON.parse(JSON.stringify(rest, bare)) as unknown,
    ]),
  )
}

test('the shop of the preset demo is the shop of examples/kubernetes, in a labelled namespace', () => {
  const objects = chart()
  const inShop = objects.filter(({ metadata }) => metadata.namespace === 'shop')
  expect(essence(inShop)).toEqual(essence(read(readFileSync('examples/kubernetes/shop.yaml', 'utf8'))))
  const namespace = objects.find(({ kind }) => kind === 'Namespace')
  expect(namespace?.metadata).toMatchObject({ name: 'shop', labels: { 'weft.dev/inject': 'enabled' } })
})

test('its image is weft-demo of the same registry and tag as Weft', () => {
  const of = ['--set', 'image.registry=registry.example/weft', '--set', 'image.tag=1.2.3']
  const printed = helmTemplate('weft', '-f', 'charts/weft/values-demo.yaml', ...of)
  expect(printed.match(/weft-demo\S*/g)).toHaveLength(8)
  expect(printed.match(/"registry.example\/weft\/weft-demo:1.2.3"/g)).toHaveLength(8)
})
