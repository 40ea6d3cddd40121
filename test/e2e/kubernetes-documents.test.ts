// The pages on Kubernetes, followed from the installation to its end as their reader would, on a real Kubernetes of one node. What
// they leave out is listed in test/ground/followed-pages.test.ts.
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { followPage } from '../support/follow-page.ts'
import { followedPages } from '../support/followed-pages.ts'
import type { Step } from '../support/page.ts'
import { openShell } from '../support/shell.ts'
import { prepareForWeft, remainsOfWeft } from './kubernetes/installation.ts'
import { loadJaeger } from './kubernetes/jaeger.ts'
import { KUBECONFIG, kubectl, PATH, ROOT, SHARED } from './kubernetes/kubectl.ts'
import { blamingTheMachine } from './kubernetes/machine.ts'

/** Of what the pages make, besides Weft. */
const NAMESPACE = 'shop'
const LATE = ['Uninstall', 'Keep the root', 'Without Helm']
/** Options that the page describes: images of this cluster instead of a registry's. */
const REGISTRY = '--set image.registry=mesh.local --set image.tag=dev'

const pages = followedPages()
let programs: string
let jaeger: string
let prepared: AsyncDisposable

beforeAll(async () => {
  jaeger = await loadJaeger()
  programs = await mkdtemp(join(tmpdir(), 'weft-programs-'))
  await writeFile(join(programs, 'helm'), `#!/bin/sh\nexec ${join(SHARED, 'tools/run')} helm "$@"\n`)
  await chmod(join(programs, 'helm'), 0o755)
  prepared = await prepareForWeft()
})
afterAll(async () => {
  await kubectl('delete', 'namespace', NAMESPACE, '--ignore-not-found', '--timeout=120s').finally(() =>
    prepared?.[Symbol.asyncDispose](),
  )
  await rm(programs, { recursive: true, force: true })
})

async function follow(name: keyof typeof pages, isMeant: (step: Step) => boolean = () => true): Promise<void> {
  const env = { ...process.env, KUBECONFIG, PATH: `${programs}:${PATH}` }
  await using shell = openShell({ cwd: ROOT, env, timeoutMs: 360_000 })
  await blamingTheMachine(() => followPage(pages[name], { shell, directory: ROOT, isMeant, change }))
}

const change = (command: string) =>
  command
    .replace('helm install weft charts/weft ', `$&${REGISTRY} --set demo.jaeger.image=${jaeger} `)
    .replaceAll('weft install --preset', `weft install ${REGISTRY} --preset`)

test('what is changed in a command is described in the page', () => {
  const text = pages['install-kubernetes'].steps
    .map((step) => (step.kind === 'run' ? change(step.command) : ''))
    .join('')
  expect(text.split('image.registry=mesh.local')).toHaveLength(4)
})

test('"Install on Kubernetes" leads from nothing to a trace in Jaeger', async () => {
  await follow('install-kubernetes', ({ section }) => !LATE.includes(section))
})

test('"Inject" can be followed', () => follow('inject'))

test('"Routes" can be followed', () => follow('routes'))

test('"Troubleshoot" can be followed', () => follow('troubleshoot-kubernetes'))

test('after "Uninstall" nothing of Weft is left', async () => {
  await follow('install-kubernetes', ({ section }) => section === 'Uninstall')
  expect(await remainsOfWeft()).toEqual([])
})

test('"Without Helm" comes and goes', async () => {
  await follow('install-kubernetes', ({ section }) => section === 'Without Helm')
  expect(await remainsOfWeft()).toEqual([])
})
