import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ManualClock, systemClock } from '#shared/clock.ts'
import { silentLog } from '#shared/log.ts'
import { formatProblem } from '#shared/resources/problem.ts'
import { until } from '#shared/watch.ts'
import type { Model } from '../model/compile.ts'
import { type FileWatch, watchFiles } from './files.ts'

const WORLD = {
  mesh: {
    name: 'demo',
    trustDomain: 'weft.local',
    podCIDRs: ['10.77.0.0/17'],
    serviceCIDRs: ['10.77.128.0/17'],
    gateways: ['10.77.0.1'],
  },
  services: [{ namespace: 'shop', name: 'catalog', addresses: ['10.77.128.3'] }],
  pods: [],
}

const service = (port: number) => `
apiVersion: v1
kind: Service
metadata: { name: catalog, namespace: shop }
spec: { selector: { app: catalog }, ports: [{ port: ${port} }] }
`

let folder: string
let watch: FileWatch | undefined

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-watch-'))
})
afterEach(async () => {
  watch?.close()
  await rm(folder, { recursive: true })
})

const put = (name: string, text: string) => writeFile(join(folder, name), text)

async function replace(name: string, text: string): Promise<void> {
  await put(`${name}.new`, text)
  await rename(join(folder, `${name}.new`), join(folder, name))
}

function start(): FileWatch {
  const configFiles = [join(folder, 'mesh.yaml'), join(folder, 'applied.yaml')]
  watch = watchFiles({ configFiles, worldFile: join(folder, 'world.json'), clock: systemClock, log: silentLog })
  return watch
}

const knows =
  (port: number) =>
  (model: Model | undefined): model is Model =>
    model?.destination(`10.77.128.3:${port}`, 'shop') != null

const deadline = () => AbortSignal.timeout(30_000)

test('there is no model and no problem until the world exists', async () => {
  await put('mesh.yaml', service(80))
  const { model, problems, refresh } = start()
  await refresh()
  expect(model.current).toBeUndefined()
  expect(problems.current).toEqual([])
  await replace('world.json', JSON.stringify(WORLD))
  await until(model, knows(80), deadline())
})

test('a file that is replaced by a rename is seen', async () => {
  await put('mesh.yaml', service(80))
  await put('world.json', JSON.stringify(WORLD))
  const { model } = start()
  await until(model, knows(80), deadline())
  await replace('mesh.yaml', service(81))
  await until(model, knows(81), deadline())
  await replace('mesh.yaml', service(82))
  await until(model, knows(82), deadline())
})

test('polling sees what no event tells: files in a folder that was not there at the start', async () => {
  const later = join(folder, 'later')
  const clock = new ManualClock()
  watch = watchFiles({
    configFiles: [join(later, 'mesh.yaml')],
    worldFile: join(later, 'world.json'),
    clock,
    log: silentLog,
  })
  await watch.refresh()
  expect(watch.model.current).toBeUndefined()
  await mkdir(later)
  await put('later/mesh.yaml', service(80))
  await put('later/world.json', JSON.stringify(WORLD))
  const seen = until(watch.model, knows(80), deadline())
  const ticking = setInterval(() => clock.advance(1000), 5)
  await seen.finally(() => clearInterval(ticking))
})

test('applied objects lie over those of the mesh file, and a missing file is empty', async () => {
  await put('mesh.yaml', service(80))
  await put('world.json', JSON.stringify(WORLD))
  const { model, refresh } = start()
  await refresh()
  expect(model.current).toSatisfy(knows(80))
  await put('applied.yaml', service(81))
  await refresh()
  expect(model.current).toSatisfy(knows(81))
  expect(model.current?.destination('10.77.128.3:80', 'shop')).toBeNull()
  await rm(join(folder, 'applied.yaml'))
  await refresh()
  expect(model.current).toSatisfy(knows(80))
})

test('a bad document is refused with its place while the whole last good configuration stays in force', async () => {
  await put('mesh.yaml', service(80))
  await put('world.json', JSON.stringify(WORLD))
  const { model, problems, refresh } = start()
  await refresh()
  const good = model.current
  await put('mesh.yaml', `${service(81)}---\n${service(0).replace('catalog,', 'other,')}`)
  await refresh()
  expect(model.current).toBe(good)
  expect(problems.current.map(formatProblem).join('\n').replaceAll(folder, '')).toMatchInlineSnapshot(
    `"/mesh.yaml:11:53: Service shop/other: spec.ports[0].port: found 0; want a whole number, 1 to 65535"`,
  )
  await put('mesh.yaml', service(81))
  await refresh()
  expect(problems.current).toEqual([])
  expect(model.current).toSatisfy(knows(81))
})

test.each([
  ['{"mesh"', 'no JSON'],
  ['{}', 'expected object'],
  [JSON.stringify({ ...WORLD, pods: [{ name: 'x' }] }), 'expected string'],
  [JSON.stringify({ ...WORLD, services: [{ ...WORLD.services[0], addresses: ['nowhere'] }] }), 'an IP address'],
])('a world that is none is refused and the last good one stays: %s', async (text, found) => {
  await put('mesh.yaml', service(80))
  await put('world.json', JSON.stringify(WORLD))
  const { model, problems, refresh } = start()
  await refresh()
  const good = model.current
  await put('world.json', text)
  await refresh()
  expect(model.current).toBe(good)
  expect(problems.current.map(formatProblem).join()).toContain(found)
})

test('files that say the same again make no new model', async () => {
  await put('mesh.yaml', service(80))
  await put('world.json', JSON.stringify(WORLD))
  const { model, refresh } = start()
  await refresh()
  const good = model.current
  await replace('mesh.yaml', service(80))
  await refresh()
  expect(model.current).toBe(good)
})

test('a file that cannot be read is a problem, not an empty file', async () => {
  await put('world.json', JSON.stringify(WORLD))
  watch = watchFiles({
    configFiles: [folder],
    worldFile: join(folder, 'world.json'),
    clock: systemClock,
    log: silentLog,
  })
  await watch.refresh()
  expect(watch.model.current).toBeUndefined()
  expect(watch.problems.current.map(formatProblem).join()).toContain('EISDIR')
})
