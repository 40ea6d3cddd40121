import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { inCluster, parseKubeconfig, readKubeconfig } from './config.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-kube-'))
})
afterEach(() => rm(folder, { recursive: true }))

const base64 = (text: string) => Buffer.from(text).toString('base64')
const kubeconfig = (cluster: object, user: object, more: object = {}) =>
  JSON.stringify({
    'current-context': 'here',
    contexts: [{ name: 'other' }, { name: 'here', context: { cluster: 'c', user: 'u' } }],
    clusters: [{ name: 'c', cluster: { server: 'https://10.0.0.1:6443', ...cluster } }],
    users: [{ name: 'u', user }],
    ...more,
  })

test('a pod’s token and authority are read anew each time', async () => {
  await writeFile(join(folder, 'ca.crt'), 'CA 1')
  await writeFile(join(folder, 'token'), 'first\n')
  const connection = inCluster('fd00:96::1', '443', folder)
  expect(connection.server.href).toBe('https://[fd00:96::1]/')
  expect(await connection.credentials()).toEqual({ ca: 'CA 1', token: 'first' })
  await writeFile(join(folder, 'token'), 'second')
  expect((await connection.credentials()).token).toBe('second')
  await rm(join(folder, 'token'))
  await expect(connection.credentials()).rejects.toThrow(`cannot read ${join(folder, 'token')}`)
})

test('a kubeconfig says server, authority and client certificate, within it or in files beside it', async () => {
  await writeFile(join(folder, 'client.key'), 'KEY')
  const cluster = { 'certificate-authority-data': base64('CA'), 'tls-server-name': 'kubernetes' }
  const user = { 'client-certificate-data': base64('CERT'), 'client-key': 'client.key' }
  await writeFile(join(folder, 'config'), kubeconfig(cluster, user))
  const connection = await readKubeconfig(join(folder, 'config'))
  expect(connection.server.href).toBe('https://10.0.0.1:6443/')
  expect(await connection.credentials()).toEqual({ ca: 'CA', cert: 'CERT', key: 'KEY', servername: 'kubernetes' })
})

test('a token of a kubeconfig is sent, and one in a file is read anew', async () => {
  expect(await parseKubeconfig('/x/config', kubeconfig({}, { token: 'abc' })).credentials()).toEqual({ token: 'abc' })
  await writeFile(join(folder, 'token'), 'from a file\n')
  const connection = parseKubeconfig(join(folder, 'config'), kubeconfig({}, { tokenFile: 'token' }))
  expect(await connection.credentials()).toEqual({ token: 'from a file' })
})

test.each([
  [kubeconfig({}, {}, { 'current-context': '' }), 'no current-context'],
  [kubeconfig({}, {}, { 'current-context': 'gone' }), 'no context gone'],
  [kubeconfig({}, {}, { clusters: null }), 'no cluster c'],
  [kubeconfig({ server: undefined }, {}), 'the cluster has no server'],
  [kubeconfig({ 'proxy-url': 'http://x' }, {}), 'proxy-url is not supported'],
  [kubeconfig({}, { exec: { command: 'aws' } }), "the user's exec is not supported"],
])('a kubeconfig that cannot be used is refused by name (%#)', (text, said) => {
  expect(() => parseKubeconfig('/x/config', text)).toThrow(`/x/config: ${said}`)
})
