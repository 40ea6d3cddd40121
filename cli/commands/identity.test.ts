import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { makeAuthority } from '../../test/support/authority.ts'
import type { Context } from '../context.ts'
import { identity } from './identity.ts'

const WEB = 'spiffe://weft.local/ns/shop/sa/web'
let directory = ''
let said: string[] = []
let complained: string[] = []
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'weft-identity-'))
  said = []
  complained = []
})
afterEach(() => {
  rmSync(directory, { recursive: true })
  process.exitCode = 0
})

const context = (): Context => ({
  terminal: {
    isColoured: false,
    isErrorColoured: false,
    out: (text) => void said.push(text),
    error: (text) => void complained.push(text),
  },
  environment: { PATH: `${directory}:/usr/bin:/bin` },
  workingDirectory: directory,
  runDirectory: join(directory, 'run'),
  stateDirectory: join(directory, 'state'),
})

/** Writes its arguments down and answers with what is given. */
function putKubectl(answer: string, code = 0): void {
  writeFileSync(join(directory, 'answer'), answer)
  const kubectl = join(directory, 'kubectl')
  const words = `printf '%s\\n' "$@" > ${directory}/words; cat ${directory}/answer ${code === 0 ? '' : '>&2'}; exit ${code}`
  writeFileSync(kubectl, `#!/bin/sh\n${words}\n`)
  chmodSync(kubectl, 0o755)
}
const words = () => readFileSync(join(directory, 'words'), 'utf8').trim().split('\n')

async function dumpOf(options: { readonly notAfter?: Date; readonly roots?: string } = {}): Promise<string> {
  const authority = await makeAuthority()
  const { chain, roots, expiresAt } = await authority.identity(WEB, options)
  return JSON.stringify({ id: WEB, expiresAt, chain, roots: options.roots ?? roots })
}

test('the identity of a pod in a cluster comes from its sidecar, by kubectl', async () => {
  putKubectl(await dumpOf())
  await identity(context(), 'web-1', { namespace: 'shop', context: 'dev' })
  expect(words().slice(0, 10)).toEqual([
    '--context',
    'dev',
    '--namespace',
    'shop',
    'exec',
    'web-1',
    '--container',
    'weft-proxy',
    '--',
    'node',
  ])
  expect(said.join('\n')).toMatch(
    new RegExp(`^pod +web-1\nidentity +${WEB}\nserial +[0-9a-f]+\nissuer +CN=test root\n`),
  )
  expect(said.at(-1)).toBe('The trust bundle of this pod vouches for it.')
  expect([complained, process.exitCode ?? 0]).toEqual([[], 0])
})

test('programs get it as JSON', async () => {
  putKubectl(await dumpOf())
  await identity(context(), 'web-1', { output: 'json' })
  expect(JSON.parse(said.join('\n'))).toMatchObject({ pod: 'web-1', identity: WEB, problem: null })
})

test('a certificate that has ended, or of a root that is not in the bundle, is told and ends with 1', async () => {
  putKubectl(await dumpOf({ notAfter: new Date(Date.now() - 1000) }))
  await identity(context(), 'web-1', {})
  putKubectl(await dumpOf({ roots: (await makeAuthority()).root }))
  await identity(context(), 'web-1', {})
  expect(complained).toEqual([
    expect.stringContaining('Nobody will trust it: a certificate ended at'),
    'Nobody will trust it: the certificate was signed by none of the trusted roots',
  ])
  expect(process.exitCode).toBe(1)
})

test('what kubectl says is passed on', async () => {
  putKubectl('Error from server (NotFound): pods "web-9" not found', 1)
  await expect(identity(context(), 'web-9', {})).rejects.toThrow(
    'pod web-9 cannot be asked: Error from server (NotFound): pods "web-9" not found',
  )
})

const DISCARDED = 'E1127 22:19:51.360867   29419 websocket.go:296] Unknown stream id 1, discarding message'

/** One that has lost its output so often, and says so as given; then it answers. */
function putLossyKubectl(answer: string, losses: number, line = DISCARDED): void {
  putKubectl(answer)
  const kubectl = join(directory, 'kubectl')
  const lose = `echo >> ${directory}/tries; if [ $(wc -l < ${directory}/tries) -le ${losses} ]; then echo '${line}' >&2; exit; fi`
  writeFileSync(kubectl, readFileSync(kubectl, 'utf8').replace('\n', `\n${lose}\n`))
}
const tries = () => readFileSync(join(directory, 'tries'), 'utf8').length

test('a kubectl that says that it threw the answer away is asked again, four times at most', async () => {
  putLossyKubectl(await dumpOf(), 3)
  await identity(context(), 'web-1', {})
  expect([tries(), complained]).toEqual([4, []])

  rmSync(join(directory, 'tries'))
  putLossyKubectl(await dumpOf(), 4)
  await expect(identity(context(), 'web-1', {})).rejects.toThrow('pod web-1 answered something else: ')
  expect(tries()).toBe(4)
})

test('one that says something else, or has lost nothing, is asked once', async () => {
  putLossyKubectl(await dumpOf(), 1, 'E1127 22:19:51.360867   29419 websocket.go:296] something else')
  await expect(identity(context(), 'web-1', {})).rejects.toThrow('pod web-1 answered something else: ')
  expect(tries()).toBe(1)

  rmSync(join(directory, 'tries'))
  putLossyKubectl(await dumpOf(), 1)
  const kubectl = join(directory, 'kubectl')
  writeFileSync(kubectl, readFileSync(kubectl, 'utf8').replace('; exit;', ';'))
  await identity(context(), 'web-1', {})
  expect(tries()).toBe(1)
})

test('without kubectl it says what to do', async () => {
  const empty = { ...context(), environment: { PATH: directory } }
  await expect(identity(empty, 'web-1', {})).rejects.toMatchObject({
    message: 'pod web-1 cannot be asked: there is no kubectl on the PATH',
    wayOut: expect.stringContaining('Install kubectl'),
  })
})

test('a sidecar without a certificate is told apart from one that does not answer', async () => {
  putKubectl(JSON.stringify({ id: null, expiresAt: null, chain: null, roots: null }))
  await expect(identity(context(), 'web-1', {})).rejects.toThrow('pod web-1 has no certificate yet')
})
