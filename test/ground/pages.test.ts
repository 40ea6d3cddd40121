// What the written pages promise, as far as a machine can tell.
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { SCENES } from '../../examples/shop/demo/scenes.ts'
import { loadDocuments } from '../../shared/resources/load.ts'
import { formatProblem } from '../../shared/resources/problem.ts'
import { FAULTS } from '../../sidecar/flow/error.ts'
import { ROOT } from './plant.ts'

const pages = globSync('{*.md,docs/**/*.md,examples/**/*.md}', { cwd: ROOT })
const read = (page: string) => readFileSync(join(ROOT, page), 'utf8')

test.each(pages)('every link of %s to a file of this repository leads somewhere', (page) => {
  const targets = [...read(page).matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, target = '']) => target)
  expect(targets.filter((target) => !existsSync(join(ROOT, dirname(page), target)))).toEqual([])
})

test.each(globSync('docs/*.md', { cwd: ROOT }).filter((page) => page !== 'docs/README.md'))(
  '%s is in the table of contents',
  (page) => {
    expect(read('docs/README.md')).toContain(`(${page.slice('docs/'.length)})`)
  },
)

test('README shows every scene of the demo', () => {
  for (const [title] of SCENES) expect(read('README.md')).toContain(title)
})

test('ARCHITECTURE.md and the decisions keep to their length', () => {
  const linesOf = (page: string) => read(page).split('\n').length
  expect(linesOf('ARCHITECTURE.md')).toBeLessThanOrEqual(150)
  for (const page of globSync('docs/decisions/*.md', { cwd: ROOT })) expect(linesOf(page), page).toBeLessThanOrEqual(40)
})

test('every code of docs/errors.md arises somewhere in the code, or is read there', () => {
  const sources = globSync('{sidecar,shared/decide}/**/*.ts', { cwd: ROOT })
    .filter((path) => !/\.(test|fixture)\.ts$/.test(path) && path !== 'sidecar/flow/error.ts')
    .map(read)
  const isNamed = (code: string) => sources.some((text) => text.includes(`'${code}'`))
  expect(Object.keys(FAULTS).filter((code) => !isNamed(code))).toEqual([])
  expect(isNamed('NO_SUCH_CODE')).toBe(false)
})

test.each(pages)('the YAML in %s has no mistake', (page) => {
  for (const [, text = ''] of read(page).matchAll(/^```yaml\n(.*?)^```/gms)) {
    expect(loadDocuments([{ path: page, text }]).problems.map(formatProblem)).toEqual([])
  }
})

test.each(pages)('every command of weft that %s shows is one that weft has', (page) => {
  const known = [...read('cli/main.ts').matchAll(/\.command\('(\w+)'\)/g)].map(([, name]) => name)
  const shown = [...read(page).matchAll(/(?:`|bin\/)weft ([a-z][a-z-]*)/g)].map(([, name]) => name)
  expect(shown.filter((name) => !known.includes(name))).toEqual([])
})
