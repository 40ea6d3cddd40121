// Who is compared: our sidecar as it is shipped (one bundle) and Envoy, each as one hop and as a pair with mutual TLS between.
import { join } from 'node:path'
import { build } from 'esbuild'
import { HEAP_FLAGS } from '#shared/pod/heap.ts'
import { BUNDLE } from '../../scripts/bundle.ts'
import { createTestAuthority } from '../../test/support/svid.ts'
import { type EnvoyConfig, findEnvoy, startEnvoy } from './envoy.ts'
import { freePort, type Running, start } from './processes.ts'
import type { ProxyConfig } from './weft-proxy.ts'

export interface Rival {
  readonly name: string
  readonly port: number
  readonly proxies: readonly Running[]
}

interface Identity {
  readonly id: string
  readonly chain: string
  readonly key: string
  readonly roots: string
}

export interface Arena {
  /** Weft first. Without Envoy (the reason was printed) it is alone. */
  hops(upstream: number): Promise<readonly Rival[]>
  pairs(upstream: number, traffic: 'http1' | 'grpc'): Promise<readonly Rival[]>
}

async function issueIdentities(): Promise<{ readonly caller: Identity; readonly server: Identity }> {
  const authority = await createTestAuthority()
  const issue = async (id: string): Promise<Identity> => {
    const { chain, key, roots } = await authority.issue(id)
    return { id, chain, roots, key: key.export({ type: 'pkcs8', format: 'pem' }) }
  }
  return { caller: await issue(CALLER), server: await issue(SERVER) }
}

/** A pair from its sources, each process of which writes what it did since SIGUSR2 into the folder when it ends. */
export async function startProfiledPair(upstream: number, folder: string): Promise<Rival> {
  const { caller, server } = await issueIdentities()
  const source = join(import.meta.dirname, 'weft-proxy.ts')
  const weft = createWeft([source], folder)
  const far = await weft({ direction: 'inbound', to: `127.0.0.1:${upstream}`, peer: null, identity: server })
  const near = await weft({ direction: 'outbound', to: `127.0.0.1:${far.port}`, peer: SERVER, identity: caller })
  return { name: 'Weft', port: near.port, proxies: [near.running, far.running] }
}

const CALLER = 'spiffe://weft.local/ns/shop/sa/web'
const SERVER = 'spiffe://weft.local/ns/shop/sa/catalog'
const ROOT = join(import.meta.dirname, '../..')

export async function openArena(directory: string, print: (line: string) => void): Promise<Arena> {
  const { caller, server } = await issueIdentities()
  const weft = createWeft([await bundleProxy()])
  const found = findEnvoy()
  if (found.program === null) print(`Envoy is left out: ${found.reason}`)
  const envoy = found.program === null ? undefined : createEnvoy(found.program, directory)
  const asCaller = { identity: caller, peer: SERVER }
  const asServer = { identity: server, peer: CALLER }
  return {
    async hops(upstream) {
      const ours = await weft({ direction: 'outbound', to: `127.0.0.1:${upstream}`, peer: null, identity: caller })
      const rivals = [{ name: 'Weft', port: ours.port, proxies: [ours.running] }]
      const theirs = await envoy?.({ to: upstream, tls: null, http2: 'no', ...asCaller })
      if (theirs !== undefined) rivals.push({ name: 'Envoy', port: theirs.port, proxies: [theirs.running] })
      return rivals
    },
    async pairs(upstream, traffic) {
      const far = await weft({ direction: 'inbound', to: `127.0.0.1:${upstream}`, peer: null, identity: server })
      const near = await weft({ direction: 'outbound', to: `127.0.0.1:${far.port}`, peer: SERVER, identity: caller })
      const rivals = [{ name: 'Weft', port: near.port, proxies: [near.running, far.running] }]
      if (envoy === undefined) return rivals
      // HTTP/2 between the two, whichever version the ends speak: the best that Envoy does.
      const behind = await envoy({
        to: upstream,
        tls: 'downstream',
        http2: traffic === 'grpc' ? 'both' : 'down',
        ...asServer,
      })
      const before = await envoy({
        to: behind.port,
        tls: 'upstream',
        http2: traffic === 'grpc' ? 'both' : 'up',
        ...asCaller,
      })
      rivals.push({ name: 'Envoy', port: before.port, proxies: [before.running, behind.running] })
      return rivals
    },
  }
}

/** Beside the other bundles: the native part of koffi and the .proto files are found from there. */
async function bundleProxy(): Promise<string> {
  const outfile = join(ROOT, 'dist/bench-proxy.js')
  const entryPoints = ['bench/macro/weft-proxy.ts']
  await build({ ...BUNDLE, absWorkingDir: ROOT, entryPoints, outfile })
  return outfile
}

function createWeft(program: readonly string[], profiles?: string) {
  return async (config: Omit<ProxyConfig, 'port' | 'traces' | 'accessLog'>) => {
    const port = await freePort()
    const profile = profiles === undefined ? [] : [join(profiles, `${port}.cpuprofile`)]
    const given: ProxyConfig = { ...config, port, traces: null, accessLog: false }
    const node = [process.execPath, ...HEAP_FLAGS]
    return { port, running: await start([...node, ...program, JSON.stringify(given), ...profile], port) }
  }
}

function createEnvoy(program: string, directory: string) {
  return async (config: Omit<EnvoyConfig, 'port'>) => {
    const port = await freePort()
    return { port, running: await startEnvoy(program, directory, { ...config, port }) }
  }
}
