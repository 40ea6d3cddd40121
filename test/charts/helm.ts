// Runs Helm and kubeconform of ../shared/tools, which builds them at the first call, over the charts of this checkout.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '../..')
/** Of the cluster that templates are made for: Helm's own default is older than the charts allow. */
const KUBE_VERSION = '1.34.4'

export interface Ended {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

export function tool(name: 'helm' | 'kubeconform', parameters: readonly string[], input = ''): Ended {
  const { status, stdout, stderr, error } = spawnSync(join(ROOT, '../shared/tools/run'), [name, ...parameters], {
    cwd: ROOT,
    encoding: 'utf8',
    input,
    maxBuffer: 64 * 1024 * 1024,
  })
  if (error !== undefined) throw new Error('these tests need ../shared/tools/run beside the checkout', { cause: error })
  return { status: status ?? -1, stdout, stderr }
}

/** Throws what Helm says where it fails. A `--namespace` among the parameters wins. */
export function helmTemplate(chart: 'weft' | 'weft-crds', ...parameters: readonly string[]): string {
  const place = ['--kube-version', KUBE_VERSION, '--namespace', 'weft-system']
  const { status, stdout, stderr } = tool('helm', ['template', chart, `charts/${chart}`, ...place, ...parameters])
  if (status !== 0) throw new Error(stderr)
  return stdout
}

/** What `weft install` prints; throws what it says where it fails. */
export function weftInstall(...parameters: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(join(ROOT, 'bin/weft'), ['install', ...parameters], {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  })
  if (status !== 0) throw new Error(stderr)
  return stdout
}
