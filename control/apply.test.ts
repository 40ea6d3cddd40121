import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '#shared/clock.ts'
import { silentLog } from '#shared/log.ts'
import { type ConfigStore, createConfigStore, layOver } from './apply.ts'
import { MESH, WORLD } from './one-service.fixture.ts'
import { type FileWatch, watchFiles } from './watch/files.ts'

const policy = (algorithm: string, name = 'quick') => `
apiVersion: weft.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: ${name}, namespace: shop } # said by hand
spec: { targetRefs: [{ group: '', kind: Service, name: catalog }], loadBalancing: { algorithm: ${algorithm} } }
`

let folder: string
let files: FileWatch
let store: ConfigStore
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-apply-'))
  await writeFile(join(folder, 'mesh.yaml'), MESH)
  await writeFile(join(folder, 'world.json'), JSON.stringify(WORLD))
  const configFiles = [join(folder, 'mesh.yaml'), join(folder, 'applied.yaml')]
  files = watchFiles({ configFiles, worldFile: join(folder, 'world.json'), clock: systemClock, log: silentLog })
  await files.refresh()
  store = createConfigStore({ configFiles, ...files })
})
afterEach(async () => {
  files.close()
  await rm(folder, { recursive: true })
})

const apply = (text: string, isDryRun = false) => store.apply({ path: 'given.yaml', text }, isDryRun)
const written = () => readFile(join(folder, 'applied.yaml'), 'utf8')
const algorithm = () => files.model.current?.destination('10.77.128.3:8080', 'shop')?.backends[0]?.policy.algorithm

describe('weft apply', () => {
  test('is in force when it answers, says what it changed, and lies in a file for its owner alone', async () => {
    expect(await apply(policy('RoundRobin'))).toEqual({
      plan: [{ change: 'added', object: 'TrafficPolicy shop/quick', affects: [] }],
      faults: [],
    })
    expect(algorithm()).toBe('RoundRobin')
    expect((await stat(join(folder, 'applied.yaml'))).mode & 0o777).toBe(0o600)
  })

  test('changes nothing as a dry run', async () => {
    const before = files.model.current
    expect(await apply(policy('RoundRobin'), true)).toMatchObject({ plan: [{ change: 'added' }] })
    expect(algorithm()).toBe('LeastRequest')
    expect(files.model.current).toBe(before)
    await expect(written()).rejects.toThrow('ENOENT')
  })

  test('replaces an object of the same name and keeps the others and the comments', async () => {
    await apply(policy('RoundRobin'))
    await apply(policy('RoundRobin', 'other'))
    await apply(policy('LeastRequest'))
    const text = await written()
    expect(text.match(/name: quick/g)).toHaveLength(1)
    expect(text).toContain('name: other')
    expect(text).toContain('# said by hand')
    expect(algorithm()).toBe('RoundRobin')
  })

  test('of several at one time loses none', async () => {
    await Promise.all(['a', 'b', 'c', 'd'].map((name) => apply(policy('RoundRobin', name))))
    expect((await written()).match(/kind: TrafficPolicy/g)).toHaveLength(4)
  })

  test('puts nothing in force when one document is wrong', async () => {
    const result = await apply(`${policy('RoundRobin')}---\n${policy('Fastest', 'wrong')}`)
    expect(result).toMatchObject({
      problems: [
        { file: 'given.yaml', line: 11, object: 'TrafficPolicy shop/wrong', path: 'spec.loadBalancing.algorithm' },
      ],
    })
    expect(algorithm()).toBe('LeastRequest')
    await expect(written()).rejects.toThrow('ENOENT')
  })

  test.each([
    ['a Mesh', 'apiVersion: weft.dev/v1alpha1\nkind: Mesh\nmetadata: { name: demo }\nspec: {}'],
    [
      'a Workload',
      'apiVersion: weft.dev/v1alpha1\nkind: Workload\nmetadata: { name: w, namespace: shop, labels: { app: w } }\nspec: { serviceAccount: w, command: [w] }',
    ],
    ['a new Service', MESH.replace('name: catalog', 'name: cart')],
  ])('refuses %s and says what makes it', async (found, text) => {
    const result = await apply(text)
    expect(result).toMatchObject({ problems: [{ found, want: expect.stringContaining('`weft down` and `weft up`') }] })
  })

  test('changes a Service that has its address already', async () => {
    expect(await apply(MESH.replace('8080', '9090'))).toMatchObject({
      plan: [{ change: 'changed', object: 'Service shop/catalog' }],
    })
    expect(files.model.current?.destination('10.77.128.3:9090', 'shop')).not.toBeNull()
  })

  test('tells of a policy for a service that does not exist, and takes it', async () => {
    const result = await apply(policy('RoundRobin').replace('name: catalog }]', 'name: nothing }]'))
    expect(result).toMatchObject({ faults: [expect.stringContaining('TargetNotFound')] })
  })
})

test('documents without a namespace are those of "default"', () => {
  const service = (namespace: string) => `kind: Service\nmetadata: { name: a${namespace} }\n`
  expect(layOver(service(''), service(', namespace: default')).match(/kind/g)).toHaveLength(1)
  expect(layOver(service(''), service(', namespace: shop')).match(/kind/g)).toHaveLength(2)
  expect(layOver('', '# nothing\n')).toBe('')
})
