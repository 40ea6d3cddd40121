// A real certs on loopback with its files in a directory of its own, and calls to it from any loopback address.

import { createHash, generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Metadata, type ServiceError } from '@grpc/grpc-js'
import pino from 'pino'
import { type Clock, systemClock } from '#shared/clock.ts'
import type { SignRequest, SignResponse } from '#shared/contract/certificates.ts'
import { loadContract } from '#shared/contract/load.ts'
import { encodeCsr } from '#shared/identity/csr.ts'
import { CHANNEL_OPTIONS, channelCredentials } from '#shared/identity/grpc-client.ts'
import { formatSpiffeId, parseSpiffeId, type SpiffeId } from '#shared/identity/spiffe-id.ts'
import { createKubeClient } from '#shared/kube/client.ts'
import { readKubeconfig } from '#shared/kube/config.ts'
import { SECRETS } from '#shared/kube/objects.ts'
import type { Log } from '#shared/log.ts'
import { readCertsConfig } from '../../certs/config.ts'
import { type Certs, startCerts } from '../../certs/start.ts'
import { freePorts } from './free-ports.ts'

const Certificates = loadContract('certificates')

export const CERTS_ID = formatSpiffeId({
  trustDomain: 'weft.local',
  namespace: 'weft-system',
  serviceAccount: 'weft-certs',
})

export interface TokenEntry {
  readonly token: string
  readonly id: string
  readonly addresses: readonly string[]
}

export interface CertsOptions {
  readonly lifetimeMs?: number
  readonly clock?: Clock
  readonly directory?: string
  readonly port?: number
  /** A file: certs keeps its root in that cluster and asks it about tokens, and pods are what the test puts there. */
  readonly kubeconfig?: string
  /** There: the root is given, or it cannot start. */
  readonly isRootGiven?: boolean
}

export interface TestCerts extends AsyncDisposable {
  readonly directory: string
  readonly bundleFile: string
  readonly port: number
  /** "HOST:PORT". */
  readonly address: string
  readonly roots: string
  /** What was logged, in order. */
  readonly logged: readonly Record<string, unknown>[]
  setTokens(entries: readonly TokenEntry[]): void
  /** Signs as a caller that connects from `source`, 127.0.0.1 unless told. */
  sign(request: SignRequest, source?: string): Promise<SignResponse>
  /** Stops it; the files stay until it is disposed of. */
  stop(): Promise<void>
}

export async function startTestCerts(options: CertsOptions = {}): Promise<TestCerts> {
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'weft-certs-'))
  const tokensFile = join(directory, 'tokens.json')
  const bundleFile = join(directory, 'bundle.pem')
  const logged: Record<string, unknown>[] = []
  const config = {
    ...readCertsConfig({}),
    attest: options.kubeconfig === undefined ? ('tokens' as const) : ('kubernetes' as const),
    kubeconfig: options.kubeconfig ?? '',
    rootFrom: options.isRootGiven === true ? ('given' as const) : ('made' as const),
    trustDomain: 'weft.local',
    // Not 0: nobody else may get it before certs comes back at it.
    listen: [{ host: '127.0.0.1', port: options.port ?? (await freePorts(1))[0] ?? 0 }],
    stateDir: join(directory, 'state'),
    bundleFile,
    tokensFile,
    svidLifetimeMs: options.lifetimeMs ?? 3600_000,
    drainTimeoutMs: 1000,
  }
  const certs: Certs = await startCerts(config, {
    clock: options.clock ?? systemClock,
    log: logInto(logged),
    random: Math.random,
  })
  const port = certs.addresses[0]?.port ?? 0
  const roots = options.kubeconfig === undefined ? readFileSync(bundleFile, 'utf8') : await rootsIn(options.kubeconfig)
  const relays: Relay[] = []
  let isStopped = false
  const stop = async () => {
    if (isStopped) return
    isStopped = true
    await Promise.all(relays.map((relay) => relay.close()))
    await certs.close()
  }
  return {
    directory,
    bundleFile,
    port,
    address: `127.0.0.1:${port}`,
    roots,
    logged,
    setTokens(entries) {
      const tokens = entries.map(({ token, id, addresses }) => ({ sha256: sha256(token), spiffeId: id, addresses }))
      writeFileSync(tokensFile, JSON.stringify({ tokens }))
    },
    async sign(request, source) {
      if (source === undefined) return callSign(port, roots, request)
      const relay = await relayFrom(source, port)
      relays.push(relay)
      return callSign(relay.port, roots, request)
    },
    stop,
    async [Symbol.asyncDispose]() {
      await stop()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** As the Secret of certs has them. */
async function rootsIn(kubeconfig: string): Promise<string> {
  const client = createKubeClient({
    connection: await readKubeconfig(kubeconfig),
    clock: systemClock,
    userAgent: 'weft-test',
  })
  try {
    const secret = await client.get(SECRETS, { namespace: 'weft-system', name: 'weft-root' })
    const data = secret['data'] as Readonly<Record<string, string>>
    return Buffer.from(data['ca.crt'] ?? data['tls.crt'] ?? '', 'base64').toString('utf8')
  } finally {
    client.close()
  }
}

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

export function makeCsr(id: string): Buffer {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return encodeCsr(privateKey, publicKey, id as SpiffeId)
}

export function logInto(lines: Record<string, unknown>[]): Log {
  return pino({ messageKey: 'msg', level: 'debug' }, { write: (line: string) => lines.push(JSON.parse(line)) })
}

function callSign(port: number, roots: string, request: SignRequest): Promise<SignResponse> {
  const trust = channelCredentials({ roots, server: parseSpiffeId(CERTS_ID) })
  const client = new Certificates(`127.0.0.1:${port}`, trust, CHANNEL_OPTIONS)
  return new Promise<SignResponse>((resolve, reject) => {
    client.Sign(request, new Metadata(), { deadline: Date.now() + 10_000 }, (error: ServiceError | null, response) => {
      if (error === null && response !== undefined) resolve(response)
      else reject(error)
    })
  }).finally(() => client.close())
}

interface Relay {
  readonly port: number
  close(): Promise<void>
}

/** Passes bytes on from another loopback address, as another pod would. */
async function relayFrom(localAddress: string, to: number): Promise<Relay> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((near) => {
    const far = connect({ host: '127.0.0.1', port: to, localAddress })
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {})
    }
    near.pipe(far)
    far.pipe(near)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as { port: number }).port,
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
