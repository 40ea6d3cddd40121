// Joins the parts of control: files or a cluster -> model -> discovery; spans -> ring; and the local API that tells of them all.
import { formatAddress } from '#shared/address.ts'
import type { Clock } from '#shared/clock.ts'
import { formatSpiffeId } from '#shared/identity/spiffe-id.ts'
import { createSvidSource, type SvidSource } from '#shared/identity/svid-client.ts'
import type { Log } from '#shared/log.ts'
import type { ControlConfig } from './config.ts'
import { startLocalApi } from './local-api.ts'
import { createDiscoveryServer } from './serve/server.ts'
import { openSource } from './source.ts'
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
  const source = await openSource(config, parts)
  onClose(source.close)
  const { model, problems, store } = source
  const svid = startIdentity(config, parts)
  onClose(() => svid.close())
  const { identity } = svid
  const discovery = createDiscoveryServer({ ...parts, ...config, model, identity, software: SOFTWARE })
  onClose(discovery.close)
  const { sidecars } = discovery
  source.report(sidecars)
  const status = () => describeStatus({ model, problems, identity, ring, sidecars })
  const api = await startLocalApi(config.socket, { store, status, ring, model })
  onClose(api.close)
  for (const address of config.listen) await discovery.listen(address)
  log.info({ listen: config.listen.map(formatAddress) }, 'discovery is served')
}

function startIdentity(config: ControlConfig, parts: ControlParts): SvidSource {
  const idOf = (serviceAccount: string) =>
    formatSpiffeId({ trustDomain: config.trustDomain, namespace: config.systemNamespace, serviceAccount })
  return createSvidSource({ ...parts, ...config, id: idOf('weft-control'), certsId: idOf('weft-certs') })
}
