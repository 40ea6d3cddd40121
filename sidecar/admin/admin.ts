// Opens the sidecar's own ports: 15000 for admin (loopback and a Unix socket, never the pod's address), 15020 for
// metrics and 15021 for readiness and probes (all addresses).
import type { Server } from 'node:http'
import type { Log } from '#shared/log.ts'
import { type Dumps, dumpPage } from './config-dump.ts'
import { drainPage } from './drain.ts'
import { close, createPageServer, listen, listenOnSocket, type Pages, plain } from './http.ts'
import { refuseForeign } from './local-only.ts'
import { type LogLevel, setLevelPage, showLevelPage } from './logging.ts'
import { type ApplicationMetrics, metricsPage } from './metrics-page.ts'
import { type ProbePageOptions, probePage } from './probe.ts'
import { type Readiness, readyPage } from './ready.ts'

export interface AdminOptions {
  readonly ready: () => Readiness
  /** Prometheus text exposition 0.0.4. */
  readonly metrics: () => string
  /** Where the application shows its own, to be shown beside ours. */
  readonly applicationMetrics?: ApplicationMetrics
  readonly dumps: Dumps
  readonly logLevel: LogLevel
  /** Stage one of the drain; resolves when it is over. */
  readonly drain: () => Promise<unknown>
  readonly probes: ProbePageOptions
  readonly log: Log
  readonly listen: {
    /** On 127.0.0.1 and ::1. 0: any free port, for tests. */
    readonly adminPort: number
    /** null: no Unix socket. */
    readonly adminSocket: string | null
    readonly metricsPort: number
    readonly healthPort: number
  }
}

export interface Admin extends AsyncDisposable {
  /** As bound. */
  readonly ports: { readonly admin: number; readonly metrics: number; readonly health: number }
  close(): Promise<void>
}

/** Resolves when all ports are open; if one cannot be opened, closes the others and rejects. */
export async function createAdmin(options: AdminOptions): Promise<Admin> {
  const servers: Server[] = []
  const closeAll = async () => void (await Promise.all(servers.map(close)))
  function open(pages: Pages, isLocalOnly: boolean): Server {
    const refuse = isLocalOnly ? { refuse: refuseForeign } : {}
    const server = createPageServer({ pages, log: options.log, ...refuse })
    servers.push(server)
    return server
  }
  try {
    const pages = adminPages(options)
    const admin = await listen(open(pages, true), { host: '127.0.0.1', port: options.listen.adminPort })
    await listenIfThere(open(pages, true), { host: '::1', port: admin })
    if (options.listen.adminSocket !== null) await listenOnSocket(open(pages, true), options.listen.adminSocket)
    const metrics = await listenEverywhere(
      () => open({ 'GET /metrics': metricsPage(options.metrics, options.applicationMetrics) }, false),
      options.listen.metricsPort,
    )
    const health = await listenEverywhere(() => open(healthPages(options), false), options.listen.healthPort)
    return { ports: { admin, metrics, health }, close: closeAll, [Symbol.asyncDispose]: closeAll }
  } catch (cause) {
    await closeAll()
    throw cause
  }
}

function adminPages(options: AdminOptions): Pages {
  return {
    'GET /ready': readyPage(options.ready),
    'GET /config': dumpPage(options.dumps.config),
    'GET /endpoints': dumpPage(options.dumps.endpoints),
    'GET /certificates': dumpPage(options.dumps.certificates),
    'GET /connections': dumpPage(options.dumps.connections),
    'GET /logging': showLevelPage(options.logLevel),
    'POST /logging': setLevelPage(options.logLevel),
    'POST /drain': drainPage(options.drain),
  }
}

function healthPages(options: AdminOptions): Pages {
  return {
    'GET /ready': readyPage(options.ready),
    // For a liveness probe: one that drains, or has no certificate yet, lives.
    'GET /live': () => plain(200, 'alive'),
    'GET /probe/*': probePage(options.probes),
  }
}

/** Both families on one socket where the pod has IPv6. */
async function listenEverywhere(open: () => Server, port: number): Promise<number> {
  try {
    return await listen(open(), { host: '::', port })
  } catch (cause) {
    if (!isAddressMissing(cause)) throw cause
    return listen(open(), { host: '0.0.0.0', port })
  }
}

/** A pod without IPv6 has no ::1, and nobody there to ask for it. */
async function listenIfThere(server: Server, where: { host: string; port: number }): Promise<void> {
  try {
    await listen(server, where)
  } catch (cause) {
    if (!isAddressMissing(cause)) throw cause
  }
}

function isAddressMissing(cause: unknown): boolean {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  return code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT'
}
