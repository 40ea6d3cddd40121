import { expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { USUAL_SETTINGS } from '#shared/pod/template.ts'
import { injectManifests } from './manifests.ts'

const options = { settings: USUAL_SETTINGS, namespace: 'shop', ownNamespace: 'weft-system' }
const inject = (text: string) => injectManifests(text, options)
const documents = (text: string) =>
  [...parseAllDocuments(text, { version: '1.1' })].map((document) => document.toJS() as Record<string, never>)

const template = (indent: number, more = '') =>
  ['metadata: { labels: { app: a } }', `spec: { containers: [{ name: a, image: x }]${more} }`]
    .map((line) => `${' '.repeat(indent)}${line}`)
    .join('\n')

const SERVICE = `# The catalog,   as others find it.
apiVersion: v1
kind: Service
metadata: {name: catalog}   # odd spacing stays
spec: {ports: [{port: 80}]}
`
const DEPLOYMENT = `apiVersion: apps/v1
kind: Deployment
metadata: { name: catalog }
spec:
  replicas: 2
  template:
${template(4)}
`

test.each([
  ['v1', 'Pod', template(0).replace('metadata: {', 'metadata: { name: a,'), []],
  ['apps/v1', 'Deployment', `metadata: { name: a }\nspec:\n  template:\n${template(4)}`, ['spec', 'template']],
  ['apps/v1', 'StatefulSet', `metadata: { name: a }\nspec:\n  template:\n${template(4)}`, ['spec', 'template']],
  ['apps/v1', 'DaemonSet', `metadata: { name: a }\nspec:\n  template:\n${template(4)}`, ['spec', 'template']],
  ['batch/v1', 'Job', `metadata: { name: a }\nspec:\n  template:\n${template(4)}`, ['spec', 'template']],
  [
    'batch/v1',
    'CronJob',
    `metadata: { name: a }\nspec:\n  jobTemplate:\n    spec:\n      template:\n${template(8)}`,
    ['spec', 'jobTemplate', 'spec', 'template'],
  ],
])('%s %s gets its sidecar', (apiVersion, kind, body, path) => {
  const { text, injected, warnings } = inject(`apiVersion: ${apiVersion}\nkind: ${kind}\n${body}\n`)
  let found: unknown = documents(text)[0]
  for (const step of path) found = (found as Record<string, unknown>)[step]

  expect(injected).toEqual([`${kind} shop/a`])
  expect(warnings).toEqual([])
  expect(found).toMatchObject({
    metadata: { annotations: { 'weft.dev/status': expect.stringContaining('"injected":true') } },
    spec: { initContainers: [{ name: 'weft-init' }, { name: 'weft-proxy' }] },
  })
})

test('other documents stay to the letter, before, between and after', () => {
  const after = '---\n# nothing but a comment\n---\nkind: ConfigMap\ndata:\n  text: |\n    ---not a document\n   \n'
  const { text } = inject(`${SERVICE}---\n${DEPLOYMENT}${after}`)

  expect(text.startsWith(SERVICE)).toBe(true)
  expect(text.endsWith(after)).toBe(true)
  expect(documents(text)[1]).toMatchObject({ kind: 'Deployment', spec: { replicas: 2 } })
})

test('a second time nothing changes', () => {
  const once = inject(DEPLOYMENT).text

  expect(inject(once).text).toBe(once)
})

test('the items of a List are treated like documents', () => {
  const list = JSON.stringify({
    apiVersion: 'v1',
    kind: 'List',
    items: [documents(SERVICE)[0], documents(DEPLOYMENT)[0]],
  })
  const { text, injected } = inject(list)

  expect(injected).toEqual(['Deployment shop/catalog'])
  expect(documents(text)[0]).toMatchObject({ kind: 'List', items: [documents(SERVICE)[0], { kind: 'Deployment' }] })
})

test('what kubectl reads as text, an octal number or true is written so that it reads the same', () => {
  const volumes = `, volumes: [{ name: s, secret: { secretName: s, defaultMode: 0640 } }], nodeSelector: { a: "yes", b: '0640', c: "1e3", d: 2001-01-01, e: 12:30 }`
  const { text } = inject(`apiVersion: v1\nkind: Pod\n${template(0, volumes)}\n`)

  expect(text).toContain('defaultMode: 416')
  for (const line of ['a: "yes"', 'b: "0640"', 'c: "1e3"']) expect(text).toContain(line)
  expect(text).toMatch(/d: "?2001-01-01"?\n/)
  expect(text).toMatch(/e: "?12:30"?\n/)
})

test('a label on the pods says no, and who cannot have a sidecar is told why', () => {
  const no = DEPLOYMENT.replace('{ app: a }', '{ weft.dev/inject: disabled }')
  const host = DEPLOYMENT.replace('spec: { containers', 'spec: { hostNetwork: true, containers')

  expect(inject(no)).toEqual({ text: no, warnings: [], injected: [] })
  expect(inject(host)).toEqual({
    text: host,
    warnings: [expect.stringContaining('Deployment shop/catalog: no sidecar: it uses the network of its node')],
    injected: [],
  })
})

test('mistakes in annotations are told with the object', () => {
  const { warnings } = inject(
    DEPLOYMENT.replace('{ labels:', '{ annotations: { config.weft.dev/opaque-port: "1" }, labels:'),
  )

  expect(warnings).toEqual([
    'Deployment shop/catalog: config.weft.dev/opaque-port: unknown annotation; want "config.weft.dev/opaque-ports"',
  ])
})

test.each([
  ['a: [', 'document 1: '],
  [`${SERVICE}---\na: 1\na: 2\n`, 'document 2: Map keys must be unique'],
  [
    'apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: a }\n',
    'Deployment shop/a: spec.template: pod: want a map',
  ],
  [`a: ${'['.repeat(200)}`, 'want at most 64 levels'],
])('%j is refused with the place', (text, message) => {
  expect(() => inject(text)).toThrow(message)
})

test('an empty file stays empty', () => {
  expect(inject('')).toEqual({ text: '', warnings: [], injected: [] })
})
