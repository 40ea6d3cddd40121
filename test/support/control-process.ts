// Control as it runs in a cluster: a process of its own, with the settings that the chart gives it and a certificate that waits in its
// directory. It dies with this process.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { saveSvid } from '#shared/identity/svid-store.ts'
import type { StatusReport } from '../../control/status.ts'
import { CONTROL_ID, TRUST_DOMAIN } from './discovery.ts'
import { freePorts } from './free-ports.ts'
import type { TestAuthority } from './svid.ts'

export interface ControlProcess extends AsyncDisposable {
  readonly name: string
  readonly port: number
  /** What `GET /status` of its local API says. */
  status(): Promise<StatusReport>
  /** Its page for Prometheus. */
  metrics(): Promise<string>
  /** Resolves with the exit code; null: it was killed. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null>
}

export interface ControlProcessOptions {
  readonly authority: TestAuthority
  readonly kubeconfig: string
  /** Of its pod. */
  readonly name: string
}

/** Resolves when it serves discovery. */
export async function startControlProcess({
  authority,
  kubeconfig,
  name,
}: ControlProcessOptions): Promise<ControlProcess> {
  const home = await mkdtemp(join(tmpdir(), 'weft-control-'))
  await saveSvid(home, await authority.issue(CONTROL_ID))
  await writeFile(join(home, 'bundle.pem'), authority.roots)
  const [port = 0, metricsPort = 0] = await freePorts(2)
  const socketPath = join(home, 'control.sock')
  const env = {
    WEFT_SOURCE: 'kubernetes',
    KUBECONFIG: kubeconfig,
    WEFT_TRUST_DOMAIN: TRUST_DOMAIN,
    WEFT_POD_NAME: name,
    WEFT_LISTEN: `127.0.0.1:${port}`,
    WEFT_OTLP_GRPC_LISTEN: '',
    WEFT_OTLP_HTTP_LISTEN: '',
    WEFT_METRICS_LISTEN: `127.0.0.1:${metricsPort}`,
    WEFT_STATE_DIR: home,
    WEFT_BUNDLE_FILE: join(home, 'bundle.pem'),
    WEFT_SOCKET: socketPath,
    WEFT_DRAIN_TIMEOUT: '10s',
    // Nobody is there, and until the certificate is old nobody need be.
    WEFT_CERTS_ADDRESS: '127.0.0.1:1',
  }
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', process.execPath, 'control/main.ts'], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const end = async (signal: 'SIGTERM' | 'SIGKILL') => {
    child.kill(signal)
    const [code] = await exited
    return code as number | null
  }
  try {
    await untilServed(child)
    return {
      name,
      port,
      status: () => ask(socketPath),
      metrics: async () => (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text(),
      end,
      async [Symbol.asyncDispose]() {
        await end('SIGKILL')
        await rm(home, { recursive: true })
      },
    }
  } catch (error) {
    await end('SIGKILL')
    await rm(home, { recursive: true })
    throw error
  }
}

/** By its log. */
async function untilServed({ stdout }: ChildProcess): Promise<void> {
  if (stdout === null) throw new Error('no log')
  const said: string[] = []
  const lines = createInterface({ input: stdout })
  for await (const line of lines) {
    said.push(line)
    if (!line.includes('discovery is served')) continue
    // The rest of the log is of no interest, but a full pipe would hold the process up.
    stdout.resume()
    return
  }
  throw new Error(`control has ended:\n${said.join('\n')}`)
}

async function ask(socketPath: string): Promise<StatusReport> {
  const outgoing = request({ socketPath, path: '/status', agent: false }).end()
  const [response] = await once(outgoing, 'response')
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += chunk
  return JSON.parse(text) as StatusReport
}
