// Kubernetes' own garbage collector beside an API server that has no controllers: for what an uninstallation leaves to it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

const FOLDERS = [process.env['KUBEBUILDER_ASSETS'], '/var/cache/mesh-cluster/bin']
const NAME = 'kube-controller-manager'

export async function startGarbageCollector(kubeconfig: string): Promise<AsyncDisposable> {
  const folder = FOLDERS.find((one) => one !== undefined && existsSync(join(one, NAME)))
  if (folder === undefined) throw new Error(`no ${NAME}: run ../shared/cluster/build ${NAME}`)
  const flags = ['--controllers=garbage-collector-controller', '--leader-elect=false', '--secure-port=0']
  // setpriv: the kernel ends it should this process be killed.
  const command = ['--pdeathsig', 'KILL', '--', join(folder, NAME), `--kubeconfig=${kubeconfig}`, ...flags]
  const child = spawn('setpriv', command, { stdio: 'ignore' })
  await once(child, 'spawn')
  return {
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}
