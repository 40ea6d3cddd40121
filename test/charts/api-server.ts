// kubectl against a real kube-apiserver (test/support/apiserver.ts), as a member of system:masters.
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { vi } from 'vitest'
import type { KubeClient } from '#shared/kube/client.ts'
import { startApiServer } from '../support/apiserver.ts'

export interface Kubectl extends AsyncDisposable {
  readonly client: KubeClient
  /** Its path, for Helm. */
  readonly kubeconfig: string
  /** Stdout and stderr one after the other. */
  run(parameters: readonly string[], input?: string): { readonly status: number; readonly output: string }
}

const BINARIES = process.env['KUBEBUILDER_ASSETS'] ?? '/var/cache/mesh-cluster/bin'

export async function startKubectl(): Promise<Kubectl> {
  const api = await startApiServer()
  const directory = await mkdtemp(join(tmpdir(), 'weft-kubectl-'))
  const { ca = '', token = '' } = await api.connection.credentials()
  const kubeconfig = join(directory, 'kubeconfig')
  const cluster = {
    server: api.connection.server.href,
    'certificate-authority-data': Buffer.from(ca).toString('base64'),
  }
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'one', cluster }],
    users: [{ name: 'admin', user: { token } }],
    contexts: [{ name: 'one', context: { cluster: 'one', user: 'admin' } }],
    'current-context': 'one',
  }
  writeFileSync(kubeconfig, JSON.stringify(config), { mode: 0o600 })
  const run: Kubectl['run'] = (parameters, input = '') => {
    const parts = ['--kubeconfig', kubeconfig, '--cache-dir', join(directory, 'cache'), ...parameters]
    const { status, stdout, stderr, error } = spawnSync(join(BINARIES, 'kubectl'), parts, { encoding: 'utf8', input })
    if (error !== undefined) throw new Error(`no kubectl in ${BINARIES}`, { cause: error })
    return { status: status ?? -1, output: `${stdout}${stderr}` }
  }
  // Its own roles come last: a test that counts objects would count them as somebody's.
  await vi.waitUntil(() => run(['get', '--raw', '/readyz']).status === 0, { timeout: 60_000, interval: 200 })
  return {
    client: api.client,
    kubeconfig,
    run,
    async [Symbol.asyncDispose]() {
      await api[Symbol.asyncDispose]()
      await rm(directory, { recursive: true, force: true })
    },
  }
}
