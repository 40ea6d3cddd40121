// HTTP/1.1 through one sidecar and through a pair with mutual TLS, ours and Envoy: CPU of the proxies for each request.
// The rivals take turns within each round, so that a neighbour on the machine slows all of them.
import { join } from 'node:path'
import { createTestAuthority } from '../../test/support/svid.ts'
import { findEnvoy, startEnvoy } from './envoy.ts'
import { type LoadResult, runWrk, startNginx } from './load.ts'
import { freePort, type Running, start, temporaryDirectory } from './processes.ts'
import type { ProxyConfig } from './weft-proxy.ts'

export interface MacroOptions {
  readonly connections: readonly number[]
  readonly rounds: number
  readonly seconds: number
  readonly print: (line: string) => void
}

interface Rival {
  readonly scene: string
  readonly name: string
  readonly port: number
  readonly proxies: readonly Running[]
}

interface Sample extends LoadResult {
  readonly cpuUs: number
}

interface Identity {
  readonly id: string
  readonly chain: string
  readonly key: string
  readonly roots: string
}

const CALLER = 'spiffe://weft.local/ns/shop/sa/web'
const SERVER = 'spiffe://weft.local/ns/shop/sa/catalog'
const PROXY = join(import.meta.dirname, 'weft-proxy.ts')

export async function runHttp1(options: MacroOptions): Promise<void> {
  const directory = temporaryDirectory()
  const { port: upstream, running: nginx } = await startNginx(directory)
  const identities = await issueIdentities()
  const rivals = [
    await startWeftHop(upstream, identities),
    await startWeftPair(upstream, identities),
    ...(await startEnvoys(upstream, identities, { directory, print: options.print })),
  ]
  try {
    for (const connections of options.connections) await compare(rivals, connections, options)
    for (const { scene, name, proxies } of rivals) {
      const sizes = proxies.map((proxy) => `${proxy.anonymousMb().toFixed(0)} MB`)
      options.print(`memory of its own after all this, ${scene}, ${name}: ${sizes.join(' + ')}`)
    }
  } finally {
    await Promise.all([nginx, ...rivals.flatMap((rival) => rival.proxies)].map((running) => running.stop()))
  }
}

async function issueIdentities(): Promise<{ caller: Identity; server: Identity }> {
  const authority = await createTestAuthority()
  const issue = async (id: string): Promise<Identity> => {
    const { chain, key, roots } = await authority.issue(id)
    return { id, chain, roots, key: key.export({ type: 'pkcs8', format: 'pem' }) }
  }
  return { caller: await issue(CALLER), server: await issue(SERVER) }
}

type Identities = Awaited<ReturnType<typeof issueIdentities>>

async function startWeft(config: Omit<ProxyConfig, 'port' | 'traces' | 'accessLog'>) {
  const port = await freePort()
  const given: ProxyConfig = { ...config, port, traces: null, accessLog: false }
  return { port, running: await start([process.execPath, PROXY, JSON.stringify(given)], port) }
}

async function startWeftHop(upstream: number, { caller }: Identities): Promise<Rival> {
  const to = `127.0.0.1:${upstream}`
  const hop = await startWeft({ direction: 'outbound', to, peer: null, identity: caller })
  return { scene: 'one hop', name: 'Weft', port: hop.port, proxies: [hop.running] }
}

async function startWeftPair(upstream: number, { caller, server }: Identities): Promise<Rival> {
  const to = `127.0.0.1:${upstream}`
  const far = await startWeft({ direction: 'inbound', to, peer: null, identity: server })
  const between = `127.0.0.1:${far.port}`
  const near = await startWeft({ direction: 'outbound', to: between, peer: SERVER, identity: caller })
  return { scene: 'pair, mutual TLS', name: 'Weft', port: near.port, proxies: [near.running, far.running] }
}

async function startEnvoys(
  upstream: number,
  { caller, server }: Identities,
  { directory, print }: { directory: string; print: (line: string) => void },
): Promise<Rival[]> {
  const found = findEnvoy()
  if (found.program === null) {
    print(`Envoy is left out: ${found.reason}`)
    return []
  }
  const { program } = found
  const [hop, near, far] = [await freePort(), await freePort(), await freePort()]
  const asCaller = { identity: caller, peer: SERVER }
  const asServer = { identity: server, peer: CALLER }
  return [
    {
      scene: 'one hop',
      name: 'Envoy',
      port: hop,
      proxies: [await startEnvoy(program, directory, { port: hop, to: upstream, tls: null, ...asCaller })],
    },
    {
      scene: 'pair, mutual TLS',
      name: 'Envoy',
      port: near,
      proxies: [
        await startEnvoy(program, directory, { port: far, to: upstream, tls: 'downstream', ...asServer }),
        await startEnvoy(program, directory, { port: near, to: far, tls: 'upstream', ...asCaller }),
      ],
    },
  ]
}

async function compare(rivals: readonly Rival[], connections: number, options: MacroOptions): Promise<void> {
  const { rounds, seconds, print } = options
  for (const rival of rivals) await runWrk(rival.port, { connections, seconds: 2 })
  const samples = new Map<Rival, Sample[]>(rivals.map((rival) => [rival, []]))
  for (let round = 0; round < rounds; round++) {
    for (const rival of rivals) samples.get(rival)?.push(await sample(rival, { connections, seconds }))
  }
  print(`\nHTTP/1.1, ${connections} connections, 100-byte answers, ${rounds} rounds of ${seconds} s each`)
  print('                          CPU us/request (median, range)    requests/s   p99 ms')
  for (const [rival, all] of samples) print(rowOf(rival, all))
}

async function sample(rival: Rival, load: { connections: number; seconds: number }): Promise<Sample> {
  const spent = () => rival.proxies.reduce((sum, proxy) => sum + proxy.cpuMs(), 0)
  const before = spent()
  const result = await runWrk(rival.port, load)
  return { ...result, cpuUs: ((spent() - before) * 1000) / result.requests }
}

function rowOf({ scene, name }: Rival, samples: readonly Sample[]): string {
  const of = (read: (one: Sample) => number) => samples.map(read).sort((a, b) => a - b)
  const cpu = of((one) => one.cpuUs)
  const range = `${cpu[0]?.toFixed(1)} to ${cpu.at(-1)?.toFixed(1)}`
  const columns = [
    `${scene}, ${name}`.padEnd(26),
    median(cpu).toFixed(1).padStart(7),
    `(${range})`.padEnd(20),
    median(of((one) => one.perSecond))
      .toFixed(0)
      .padStart(16),
    median(of((one) => one.p99))
      .toFixed(2)
      .padStart(8),
  ]
  return columns.join(' ')
}

function median(sorted: readonly number[]): number {
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2
}
