import { spawnSync } from 'node:child_process'
import { appendFileSync, cpSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { helmTemplate, tool, weftInstall } from './helm.ts'

const PRESETS = ['minimal', 'ha', 'demo']
let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'weft-charts-'))
  // Builds it, where that has not been done.
  expect(tool('helm', ['version']).status).toBe(0)
}, 600_000)
afterAll(() => rm(directory, { recursive: true }))

test('a chart that differs from its source is noticed, and so is a file that nothing writes', () => {
  const copy = join(directory, 'charts')
  cpSync('charts', copy, { recursive: true })
  const check = () =>
    spawnSync(process.execPath, ['scripts/charts.ts', '--check', '--into', copy], { encoding: 'utf8' })
  expect(check()).toMatchObject({ status: 0, stderr: '' })
  appendFileSync(join(copy, 'weft/values.yaml'), '# more\n')
  writeFileSync(join(copy, 'weft/templates/stray.yaml'), '')
  const { status, stderr } = check()
  expect(status).toBe(1)
  expect(stderr).toContain('charts/weft/values.yaml is not what')
  expect(stderr).toContain('charts/weft/templates/stray.yaml is not what')
})

test.each(['weft', 'weft-crds'])('helm lint --strict has nothing against %s', (chart) => {
  const { status, stdout } = tool('helm', ['lint', '--strict', '--namespace', 'weft-system', `charts/${chart}`])
  expect({ status, stdout }).toMatchObject({ status: 0, stdout: expect.stringContaining('0 chart(s) failed') })
})

test('helm and weft install give the same bytes, for defaults, presets, single values and the CRDs', () => {
  expect(weftInstall()).toBe(helmTemplate('weft'))
  for (const preset of PRESETS) {
    expect(weftInstall('--preset', preset)).toBe(helmTemplate('weft', '-f', `charts/weft/values-${preset}.yaml`))
  }
  const assignments = [
    'mesh.trustDomain=corp.example',
    'mesh.policy.tracing.endpoint=http://a.b/c?d=e&f',
    'podMonitor.enabled=true',
    'scheduling.nodeSelector=null',
    'control.replicas=3',
    'control.resources.limits.cpu=2',
    'image.registry=registry.example:5000/weft',
    'certificates.webhook=cert-manager',
    'certificates.root=cert-manager',
  ]
  for (const one of assignments) expect(weftInstall('--set', one)).toBe(helmTemplate('weft', '--set', one))
  expect(weftInstall('--crds')).toBe(helmTemplate('weft-crds'))
})

test('helm and weft install give the same bytes for a file of values that would break out of YAML', () => {
  const file = join(directory, 'values.yaml')
  writeFileSync(
    file,
    JSON.stringify({
      image: { registry: 'a"\n---\nkind: Secret\n#', pullSecrets: [{ name: 'x' }, { name: '{{ .Values }}' }] },
      mesh: { ranges: ['10.0.0.0/8', 'fd00::/8'] },
      scheduling: {
        nodeSelector: { 'b.example/<&>': '\u2028é', a: 'yes' },
        tolerations: [{ key: 'k', operator: 'Exists', effect: 'NoSchedule' }],
      },
    }),
  )
  const printed = helmTemplate('weft', '-f', file)
  expect(weftInstall('-f', file)).toBe(printed)
  expect(parseAllDocuments(printed).map((document) => document.get('kind'))).not.toContain('Secret')
})

test.each(PRESETS)('preset %s makes these objects', (preset) => {
  const objects = parseAllDocuments(weftInstall('--preset', preset)).map((document) => document.toJS())
  const lines = objects.map(({ kind, metadata, spec }) =>
    [kind, metadata.name, ...(spec?.replicas === undefined ? [] : [`x${spec.replicas}`])].join(' '),
  )
  expect(lines).toMatchSnapshot()
})

/** Every place in the default values where a map can get one more name. */
function maps(values: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof values !== 'object' || values === null || Array.isArray(values)) return []
  return [path, ...Object.entries(values).flatMap(([name, value]) => maps(value, [...path, name]))]
}

test('an unknown value is refused wherever it stands', () => {
  const defaults: unknown = parse(readFileSync('charts/weft/values.yaml', 'utf8'))
  const places = maps(defaults).filter((path) => path.join('.') !== 'scheduling.nodeSelector')
  expect(places.length).toBeGreaterThan(18)
  for (const path of places) {
    const assignment = `${[...path, 'unknwon'].join('.')}=1`
    expect(() => helmTemplate('weft', '--set', assignment), assignment).toThrow(
      /additional properties 'unknwon' not allowed/,
    )
    expect(() => weftInstall('--set', assignment), assignment).toThrow('unknwon')
  }
  expect(() => helmTemplate('weft-crds', '--set', 'unknwon=1')).toThrow(/'unknwon' not allowed/)
})

test.each([
  'control.replicas=0',
  'control.replicas=some',
  'logLevel=loud',
  'image.pullPolicy=Sometimes',
  'mesh.trustDomain=Not_A_Domain',
  'mesh.policy.mtls.mode=strict',
  'certs.certificateLifetime=soon',
  'injector.failurePolicy=Maybe',
  'certificates.webhook=letsencrypt',
  'networkPolicy.enabled=perhaps',
])('%s is refused by helm and by weft install', (assignment) => {
  const [path = ''] = assignment.split('=')
  expect(() => helmTemplate('weft', '--set', assignment)).toThrow(path.replaceAll('.', '/'))
  expect(() => weftInstall('--set', assignment)).toThrow(path)
})

describe('in another namespace than weft-system', () => {
  const elsewhere = ['--namespace', 'mesh-system']
  const demo = 'charts/weft/values-demo.yaml'
  const jaeger = ['--set', 'mesh.policy.tracing.endpoint=http://weft-jaeger.mesh-system:4317']

  test('helm and weft install give the same bytes, and nothing of them is of weft-system', () => {
    for (const preset of ['minimal', 'ha']) {
      const text = helmTemplate('weft', ...elsewhere, '-f', `charts/weft/values-${preset}.yaml`)
      expect(weftInstall(...elsewhere, '--preset', preset)).toBe(text)
      expect(text).not.toContain('weft-system')
    }
    const text = helmTemplate('weft', ...elsewhere, '-f', demo, ...jaeger)
    expect(weftInstall(...elsewhere, '--preset', 'demo', ...jaeger)).toBe(text)
    expect(text).not.toContain('weft-system')
  })

  test('every process is told where it is', () => {
    const objects = parseAllDocuments(helmTemplate('weft', ...elsewhere)).map((document) => document.toJS())
    const deployments = objects.filter((object) => object?.kind === 'Deployment')
    const told = deployments.map(({ metadata, spec }) => {
      const { env } = spec.template.spec.containers[0]
      const own = env.find(({ name }: { name: string }) => name === 'WEFT_SYSTEM_NAMESPACE')
      return [metadata.name, metadata.namespace, own?.value]
    })
    expect(told.sort()).toEqual([
      ['weft-certs', 'mesh-system', 'mesh-system'],
      ['weft-control', 'mesh-system', 'mesh-system'],
      ['weft-injector', 'mesh-system', 'mesh-system'],
    ])
  })

  test('the preset demo, whose spans would go to nobody, is refused with the way out', () => {
    const out = '--set mesh.policy.tracing.endpoint=http://weft-jaeger.mesh-system:4317'
    expect(() => helmTemplate('weft', ...elsewhere, '-f', demo)).toThrow(out)
    expect(() => weftInstall(...elsewhere, '--preset', 'demo')).toThrow(out)
  })

  test('a name that is none is refused', () => {
    expect(() => weftInstall('--namespace', 'Mesh_System')).toThrow('want a name of lower-case letters')
  })
})

test('an older Kubernetes than the charts allow is refused', () => {
  expect(() => helmTemplate('weft', '--kube-version', '1.30.0')).toThrow('kubeVersion: >=1.31.0-0')
})
