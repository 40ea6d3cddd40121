// A planted violation for every border and rule of biome.json. One run of Biome judges all of them.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { plant, ROOT } from './plant.ts'

const STEPS = [
  'accept',
  'detect',
  'secure',
  'route',
  'policy',
  'balance',
  'connect',
  'relay',
  'http1',
  'http2',
  'compat',
].concat('telemetry', 'discover', 'admin')
const COMPONENTS = ['sidecar', 'certs', 'control', 'cli', 'injector', 'dashboard']
/** The npm packages of each place, as ARCHITECTURE.md names them; every other package is refused there. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  'sidecar/accept': ['koffi'],
  'sidecar/secure': ['@grpc/grpc-js'],
  'sidecar/policy': ['opossum'],
  'sidecar/relay': ['@opentelemetry/api'],
  'sidecar/telemetry': ['@opentelemetry/api', '@opentelemetry/sdk-node'],
  'sidecar/discover': ['@grpc/grpc-js'],
  certs: ['@grpc/grpc-js', '@peculiar/x509', 'reflect-metadata'],
  control: ['@grpc/grpc-js', 'yaml', 'zod'],
  cli: ['@grpc/grpc-js', 'commander', 'yaml'],
  shared: ['@grpc/grpc-js', 'pino', 're2js', 'yaml', 'zod'],
}
const ALL_PACKAGES = [...new Set(Object.values(PACKAGES).flat())]
const imports = (specifier: string) => `import ${JSON.stringify(specifier)}\n`

interface Case {
  readonly name: string
  readonly path: string
  readonly text: string
  /** The rule that must speak, or null when the file must pass. */
  readonly rule: string | null
}

const border = (name: string, path: string, specifier: string): Case => ({
  name,
  path,
  text: imports(specifier),
  rule: 'lint/style/noRestrictedImports',
})
const allowed = (name: string, path: string, specifier: string): Case => ({
  name,
  path,
  text: imports(specifier),
  rule: null,
})

const stepCases = STEPS.flatMap((step) => [
  ...STEPS.filter((other) => other !== step).map((other) =>
    border(`${step} may not import the step ${other}`, `sidecar/${step}/imports-${other}.ts`, `../${other}/x.ts`),
  ),
  border(`${step} may not import inbound.ts`, `sidecar/${step}/imports-inbound.ts`, '../inbound.ts'),
  border(`${step} may not leave the sidecar`, `sidecar/${step}/imports-shared-by-path.ts`, '../../shared/clock.ts'),
  border(`${step} may not import flow by path`, `sidecar/${step}/imports-flow-by-path.ts`, '../flow/layer.ts'),
  allowed(`${step} may import its own folder`, `sidecar/${step}/imports-own.ts`, './own.ts'),
  allowed(`${step} may import flow`, `sidecar/${step}/imports-flow.ts`, '#flow/layer.ts'),
  allowed(`${step} may import shared`, `sidecar/${step}/imports-shared.ts`, '#shared/clock.ts'),
  allowed(`${step} may import Node`, `sidecar/${step}/imports-node.ts`, 'node:stream/promises'),
])

const flowCases = STEPS.map((step) =>
  border(`flow may not import the step ${step}`, `sidecar/flow/imports-${step}.ts`, `../${step}/x.ts`),
)

const componentCases = COMPONENTS.flatMap((component) =>
  COMPONENTS.filter((other) => other !== component).flatMap((other) => [
    border(`${component} may not import ${other}`, `${component}/imports-${other}.ts`, `../${other}/x.ts`),
    border(
      `a folder of ${component} may not import ${other}`,
      `${component}/serve/imports-${other}.ts`,
      `../../${other}/x.ts`,
    ),
  ]),
)

const sharedCases = COMPONENTS.map((component) =>
  border(`shared may not import ${component}`, `shared/imports-${component}.ts`, `../${component}/x.ts`),
)

const places = [
  ...STEPS.map((step) => `sidecar/${step}`),
  'sidecar/flow',
  'sidecar',
  ...COMPONENTS.slice(1),
  'shared',
  'examples/shop',
]
const packageCases = [...new Set(places)].flatMap((place) =>
  ALL_PACKAGES.map((name) => {
    const path = `${place}/imports-${name.replace(/\W+/g, '-')}-package.ts`
    const may = PACKAGES[place]?.includes(name) === true || (place === 'sidecar/flow' && name === '@opentelemetry/api')
    return may
      ? allowed(`${place} may import ${name}`, path, name)
      : border(`${place} may not import ${name}`, path, name)
  }),
)

const otherBorders = [
  border('decide does no I/O', 'shared/decide/imports-fs.ts', 'node:fs'),
  border('decide starts no process', 'shared/decide/imports-process.ts', 'node:child_process'),
  border('decide knows no flow', 'shared/decide/imports-flow.ts', '#flow/layer.ts'),
  border('control knows no flow', 'control/imports-flow.ts', '#flow/layer.ts'),
  border('an example knows nothing of Weft', 'examples/shop/imports-shared.ts', '#shared/clock.ts'),
  border('an example does not reach into Weft', 'examples/shop/imports-sidecar.ts', '../../sidecar/flow/layer.ts'),
  border('a unit test of a step may not import another step', 'sidecar/route/a.test.ts', '../balance/x.ts'),
  allowed('a unit test may use the test packages', 'sidecar/route/b.test.ts', 'fast-check'),
  allowed('a test of several parts may import them', 'test/integration/a.test.ts', '../../sidecar/route/x.ts'),
  allowed('a folder of control may import another of control', 'control/serve/imports-model.ts', '../model/x.ts'),
]

const rule = (name: string, path: string, text: string, spoken: string): Case => ({
  name,
  path,
  text,
  rule: `lint/${spoken}`,
})
const lines = (count: number, line: string) => `${line}\n`.repeat(count)
const NESTED = `export function deep(a: number): number {
${['a > 1', 'a > 2', 'a > 3', 'a > 4', 'a > 5', 'a > 6'].map((test) => `if (${test}) {`).join('\n')}
return a
}}}}}}
return 0
}`

const ruleCases = [
  rule(
    'a promise may not float',
    'shared/floating.ts',
    'async function work(): Promise<void> {}\nwork()\n',
    'nursery/noFloatingPromises',
  ),
  rule(
    'only main.ts reads the environment',
    'sidecar/environment.ts',
    'export const home = process.env\n',
    'style/noProcessEnv',
  ),
  {
    name: 'main.ts may read the environment',
    path: 'sidecar/main.ts',
    text: 'export const home = process.env\n',
    rule: null,
  },
  rule('a barrel is refused', 'shared/barrel.ts', "export * from './clock.ts'\n", 'performance/noBarrelFile'),
  rule('a default export is refused', 'shared/default.ts', 'export default 1\n', 'style/noDefaultExport'),
  rule('any is refused', 'shared/any.ts', 'export const value: any = 1\n', 'suspicious/noExplicitAny'),
  rule(
    'a non-null assertion is refused',
    'shared/assertion.ts',
    'export const first = (list: string[]) => list[0]!.length\n',
    'style/noNonNullAssertion',
  ),
  rule(
    'an error that hides its cause is refused',
    'shared/cause.ts',
    'export function a() {\ntry {\nJSON.parse("")\n} catch (error) {\nthrow new Error("no")\n}\n}\n',
    'style/useErrorCause',
  ),
  rule(
    'only errors are thrown',
    'shared/throw.ts',
    "export const a = () => {\nthrow 'no'\n}\n",
    'style/useThrowOnlyError',
  ),
  rule(
    'a file name in camel case is refused',
    'shared/camelCase.ts',
    'export const a = 1\n',
    'style/useFilenamingConvention',
  ),
  rule(
    'a file of more than 400 lines is refused',
    'shared/long.ts',
    lines(401, 'export {}'),
    'style/noExcessiveLinesPerFile',
  ),
  rule(
    'a function of more than 40 lines is refused',
    'shared/long-function.ts',
    `export function a() {\n${lines(41, 'a()')}}\n`,
    'complexity/noExcessiveLinesPerFunction',
  ),
  rule('a tangle of branches is refused', 'shared/tangle.ts', NESTED, 'complexity/noExcessiveCognitiveComplexity'),
  rule('console is refused in a part', 'control/console.ts', 'console.log(1)\n', 'suspicious/noConsole'),
  rule(
    'an import without its suffix is refused',
    'shared/suffix.ts',
    "import './own'\n",
    'correctness/useImportExtensions',
  ),
  rule(
    'a circle of imports is refused',
    'shared/circle-a.ts',
    "import { b } from './circle-b.ts'\nexport const a = () => b()\n",
    'suspicious/noImportCycles',
  ),
  rule(
    'the other half of the circle is refused',
    'shared/circle-b.ts',
    "import { a } from './circle-a.ts'\nexport const b = () => a()\n",
    'suspicious/noImportCycles',
  ),
]

const borderCases: readonly Case[] = [
  ...stepCases,
  ...flowCases,
  ...componentCases,
  ...sharedCases,
  ...packageCases,
  ...otherBorders,
]
const cases = [...borderCases, ...ruleCases]
const spokenOf = new Map<string, string[]>()

interface Report {
  readonly diagnostics: readonly { readonly category: string; readonly location: { readonly path: string } }[]
}

beforeAll(async () => {
  const own = { 'shared/own.ts': 'export {}\n' }
  await using planted = await plant({ ...own, ...Object.fromEntries(cases.map(({ path, text }) => [path, text])) })
  const { output } = await planted.run('biome', 'lint', '--reporter=json', '--max-diagnostics=none', '.')
  const report = JSON.parse(output.slice(output.indexOf('{'), output.lastIndexOf('}') + 1)) as Report
  for (const { category, location } of report.diagnostics) {
    spokenOf.set(location.path, [...(spokenOf.get(location.path) ?? []), category])
  }
}, 60_000)

test('no two planted files share a path', () => {
  expect(new Set(cases.map(({ path }) => path)).size).toBe(cases.length)
})

test('every step of the sidecar is planted here', () => {
  const folders = readdirSync(join(ROOT, 'sidecar'), { withFileTypes: true }).filter((entry) => entry.isDirectory())
  expect([...STEPS, 'flow']).toEqual(expect.arrayContaining(folders.map(({ name }) => name)))
})

test('every rule that biome.json sets to error is planted here', () => {
  const { linter } = JSON.parse(readFileSync(join(ROOT, 'biome.json'), 'utf8'))
  const isOn = (level: unknown) => level === 'error' || (level as { level?: string }).level === 'error'
  const set = Object.entries(linter.rules as Record<string, Record<string, unknown>>)
    .filter(([group]) => group !== 'preset')
    .flatMap(([group, rules]) =>
      Object.keys(rules)
        .filter((key) => isOn(rules[key]))
        .map((key) => `lint/${group}/${key}`),
    )
  expect(set.filter((name) => !cases.some((planted) => planted.rule === name))).toEqual([])
})

/** What is wrong with a planted file: silence where the rule must speak, or a border that shouts at what is allowed. */
function mistakeOf({ name, path, rule: wanted }: Case): string | null {
  const spoken = spokenOf.get(path) ?? []
  if (wanted !== null) return spoken.includes(wanted) ? null : `${name}: ${wanted} did not speak`
  const wrong = spoken.filter((category) => /noRestrictedImports|noProcessEnv/.test(category))
  return wrong.length === 0 ? null : `${name}: ${wrong.join(', ')} spoke`
}

test.each([...new Set(borderCases.map(({ path }) => dirname(path)))])('the borders of %s hold', (folder) => {
  const planted = borderCases.filter(({ path }) => dirname(path) === folder)
  expect(planted.map(mistakeOf).filter((mistake) => mistake !== null)).toEqual([])
})

test.each(ruleCases)('$name', (planted) => {
  expect(mistakeOf(planted)).toBeNull()
})
