// The two sidecars of pair.ts, each in a process of its own, for what is said about the memory of one.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { WorkloadConfig } from '#shared/decide/config.ts'
import type { SvidIdentity } from '#shared/identity/svid.ts'
import { HEAP_FLAGS } from '#shared/pod/heap.ts'
import { CLIENT_ID, SERVER_ID } from './pair.ts'
import { createTestAuthority } from './svid.ts'

/** What crosses to half-process.ts. */
export interface HalfDescription {
  readonly direction: 'inbound' | 'outbound'
  readonly identity: Readonly<Record<'id' | 'chain' | 'key' | 'roots' | 'expiresAt', string>>
  readonly application: number
  readonly workload: Partial<WorkloadConfig>
  readonly peerConnections?: number
  readonly endpoints: readonly {
    readonly address: { readonly host: string; readonly port: number }
    readonly weight: number
    readonly identity: string
    readonly pod: string
  }[]
}

export interface SidecarProcess {
  readonly port: number
  /** Resident without file pages: MiB. */
  anonymousMiB(): number
}

export interface PairProcesses extends AsyncDisposable {
  readonly client: SidecarProcess
  readonly server: SidecarProcess
}

export interface PairProcessesOptions {
  readonly application: number
  readonly workload?: Partial<WorkloadConfig>
  readonly peerConnections?: number
}

export async function startPairProcesses(options: PairProcessesOptions): Promise<PairProcesses> {
  const { application, workload, peerConnections = 4 } = options
  const authority = await createTestAuthority()
  const children: ChildProcess[] = []
  const start = async (description: Omit<HalfDescription, 'application' | 'identity'>, id: string) => {
    const child = fork(join(import.meta.dirname, 'half-process.ts'), { stdio: 'inherit', execArgv: [...HEAP_FLAGS] })
    children.push(child)
    child.send({ ...description, application, identity: plain(await authority.issue(id)) })
    const [port] = (await once(child, 'message')) as [number]
    return { port, anonymousMiB: () => anonymousMiBOf(child.pid) }
  }
  const server = await start({ direction: 'inbound', workload: workload ?? {}, endpoints: [] }, SERVER_ID)
  const address = { host: '127.0.0.1', port: server.port }
  const endpoint = { address, weight: 1, identity: SERVER_ID, pod: 'catalog-0' }
  const client = await start({ direction: 'outbound', workload: {}, endpoints: [endpoint], peerConnections }, CLIENT_ID)
  return {
    client,
    server,
    async [Symbol.asyncDispose]() {
      await Promise.all(children.map(end))
    },
  }
}

const plain = ({ id, chain, key, roots, expiresAt }: SvidIdentity): HalfDescription['identity'] => ({
  id,
  chain,
  key: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
  roots,
  expiresAt: expiresAt.toISOString(),
})

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}

function anonymousMiBOf(pid: number | undefined): number {
  const [, kiB] = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kiB) / 1024
}
