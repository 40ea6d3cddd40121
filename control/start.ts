// Joins the parts of control: files or a cluster -> model -> discovery; spans -> ring; and the local API that tells of them all.
import { type Address, formatAddress } from '#shared/address.ts'
import type { Clock } from '#shared/clock.ts'
import { formatSpiffeId } from '#shared/identity/spiffe-id.ts'
import { createSvidSource, type SvidSource } from '#shared/identity/svid-client.ts'
import type { Log } from '#shared/log.ts'
import { startPages } from '#shared/pages.ts'
import type { ControlConfig } from './config.ts'
import { startLocalApi } from './local-api.ts'
import { createControlMetrics } from './metrics.ts'
import { createDiscoveryServer } from './serve/server.ts'
import { openSource, type Reporting } from './source.ts'
import { describeStatus } from './status.ts'
import { startGrpcReceiver } from './traces/grpc-receiver.ts'
import { startHttpReceiver } from './traces/http-receiver.ts'
import { TraceRing } from './traces/ring.ts'

export interface ControlParts {
  readonly clock: Clock
  readonly log: Log
  readonly random: () => number
}

export interface Control {
  close(): Promise<void>
}

/** What sidecars are told and told of; nothing is decided by it. */
const SOFTWARE = 'weft-control'

/** Resolves when everything listens, discovery too, which waits for the first certificate. What was opened before a failure is closed. */
export async function startControl(config: ControlConfig, parts: ControlParts): Promise<Control> {
  const closers: (() => unknown)[] = []
  // The last opened is closed first.
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer()
  }
  try {
    await open(config, parts, (closer) => closers.push(closer))
    return { close }
  } catch (error) {
    await close()
    throw error
  }
}

async function open(
  config: ControlConfig,
  parts: ControlParts,
  onClose: (closer: () => unknown) => void,
): Promise<void> {
  const { log } = parts
  const ring = new TraceRing()
  const grpc = await startGrpcReceiver(config.otlpGrpcListen, ring)
  onClose(grpc.close)
  const http = await startHttpReceiver(config.otlpHttpListen, ring)
  onClose(http.close)
  const metrics = createControlMetrics()
  const source = await openSource(config, { ...parts, metrics })
  onClose(source.close)
  const stopValidating = source.validate()
  onClose(stopValidating)
  const { model, problems, store } = source
  const svid = startIdentity(config, parts)
  onClose(() => svid.close())
  const { identity } = svid
  let reporting: Reporting | null = null
  // While sidecars go elsewhere those that are still here are reported to who counts them now.
  onClose(() => reporting?.close())
  const discovery = createDiscoveryServer({ ...parts, ...config, ...source, identity, software: SOFTWARE })
  onClose(() => discovery.close(config.drainTimeoutMs))
  const { sidecars } = discovery
  const known = () => reporting?.known() ?? { standings: sidecars.objects(), counted: null }
  const status = () => describeStatus({ model, problems, identity, ring, sidecars, ...known() })
  const api = await startLocalApi(config.socket, { store, status, ring, model })
  onClose(api.close)
  const standing = () => ({ ...source.standing(), sidecars: sidecars.count() })
  const pages = await startPages(config.metricsListen, {
    metrics: () => metrics.render(standing()),
    isReady: () => model.current !== undefined && identity.current !== undefined,
  })
  onClose(() => pages[Symbol.asyncDispose]())
  const bound: Address[] = []
  for (const address of config.listen) bound.push(await discovery.listen(address))
  reporting = source.report({ sidecars, identity, address: reachedAt(config, bound) })
  onClose(reporting.resign)
  log.info({ listen: bound.map(formatAddress) }, 'discovery is served')
  // First of all: its callers are told while sidecars go elsewhere.
  onClose(() => void stopValidating())
}

/** By other replicas; empty: not at all. */
function reachedAt({ podAddresses }: ControlConfig, bound: readonly Address[]): string {
  const [first] = bound
  if (first === undefined) return ''
  const host = podAddresses[0] ?? first.host
  return host === '::' || host === '0.0.0.0' ? '' : formatAddress({ host, port: first.port })
}

function startIdentity(config: ControlConfig, parts: ControlParts): SvidSource {
  const idOf = (serviceAccount: string) =>
    formatSpiffeId({ trustDomain: config.trustDomain, namespace: config.systemNamespace, serviceAccount })
  return createSvidSource({ ...parts, ...config, id: idOf('weft-control'), certsId: idOf('weft-certs') })
}
