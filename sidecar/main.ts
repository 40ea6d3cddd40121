// The sidecar's process: settings -> identity and discovery -> both paths -> listen -> drain on SIGTERM.
import { systemClock } from '#shared/clock.ts'
import { formatSpiffeId } from '#shared/identity/spiffe-id.ts'
import { createLog } from '#shared/log.ts'
import { loadOriginalDestination } from './accept/destination.ts'
import { startListener } from './accept/listener.ts'
import { createDrain } from './admin/drain.ts'
import { parseProbes } from './admin/parse-probes.ts'
import { readSidecarConfig, type SidecarConfig } from './config.ts'
import { createDiscovery } from './discover/client.ts'
import { dropPrivileges } from './drop-privileges.ts'
import { openAdmin, type Running } from './open-admin.ts'
import { rotateIdentity } from './secure/rotate.ts'
import { createSidecar } from './sidecar.ts'
import { createTelemetry } from './telemetry.ts'

const common = { clock: systemClock, random: Math.random }
/** What outbound may still finish after SIGTERM: the application is gone by then. */
const OUTBOUND_LIMIT_MS = 1000

async function main(): Promise<void> {
  const config = readSidecarConfig(process.env)
  const originalDestination = loadOriginalDestination()
  dropPrivileges(config.runAs)
  const log = createLog('sidecar', config.logLevel)
  const probes = parseProbes(config.probes)
  const rotating = startIdentity(config, log)
  const { identity } = rotating
  const discovery = startDiscovery(config, identity, log)
  const telemetry = createTelemetry({ ...common, config, discovery, identity, log })
  const { workload } = discovery
  const ownPorts = [config.inboundPort, config.outboundPort, config.adminPort]
  const parts = {
    ...common,
    ...config,
    ...telemetry,
    ownPorts,
    originalDestination,
    discovery,
    workload,
    identity,
    log,
  }
  const sidecar = createSidecar(parts)
  const listeners = {
    inbound: await startListener({ direction: 'inbound', port: config.inboundPort, handler: sidecar.inbound }),
    outbound: await startListener({ direction: 'outbound', port: config.outboundPort, handler: sidecar.outbound }),
  }
  const drain = createSidecarDrain(config, sidecar, listeners)
  const running: Running = { config, log, probes, identity, discovery, telemetry, sidecar, listeners, drain }
  const admin = await openAdmin(running)
  const close = () => Promise.all([telemetry.shutdown(), discovery.close(), admin.close()])
  stopOnSignal(running, async () => {
    await close()
    rotating.close()
  })
  log.info({ inbound: config.inboundPort, outbound: config.outboundPort, pid: process.pid }, 'the sidecar listens')
}

function idOf({ trustDomain }: SidecarConfig, namespace: string, serviceAccount: string) {
  return formatSpiffeId({ trustDomain, namespace, serviceAccount })
}

function startIdentity(config: SidecarConfig, log: Running['log']) {
  const certsId = idOf(config, config.systemNamespace, 'weft-certs')
  const id = idOf(config, config.podNamespace, config.serviceAccount)
  return rotateIdentity({ ...common, ...config, certsId, id, log })
}

function startDiscovery(config: SidecarConfig, identity: Running['identity'], log: Running['log']) {
  return createDiscovery({
    ...common,
    controlAddress: config.controlAddress,
    controlId: idOf(config, config.systemNamespace, 'weft-control'),
    identity,
    pod: config.podName,
    addresses: [...config.podAddresses],
    snapshotFile: `${config.stateDir}/snapshot.json`,
    log,
  })
}

function createSidecarDrain(
  config: SidecarConfig,
  sidecar: Running['sidecar'],
  listeners: Running['listeners'],
): Running['drain'] {
  const { inbound, outbound } = sidecar.serving
  return createDrain({
    clock: common.clock,
    inboundLimitMs: config.drainTimeoutMs,
    inboundQuietMs: config.drainQuietMs,
    outboundLimitMs: OUTBOUND_LIMIT_MS,
    closeInbound: inbound.closeAfterNext,
    closeAll() {
      inbound.drain()
      outbound.drain()
    },
    inboundArrivals: () => listeners.inbound.accepted + inbound.count().requests,
    inboundActive: () => inFlight(listeners.inbound.open, inbound.count()),
    outboundActive: () => inFlight(listeners.outbound.open, outbound.count()),
  })
}

/** Requests, and connections that carry bytes; an HTTP connection without a request is idle. */
function inFlight(open: number, http: { readonly connections: number; readonly active: number }): number {
  return Math.max(0, open - http.connections) + http.active
}

function stopOnSignal({ drain, listeners }: Running, close: () => Promise<void>): void {
  const stop = async () => {
    await drain.stop()
    listeners.inbound.destroy()
    listeners.outbound.destroy()
    await close()
    process.exit(0)
  }
  // A second signal makes drain.stop() resolve at once.
  process.on('SIGTERM', () => void stop())
  process.on('SIGINT', () => void stop())
}

// A sidecar in an unknown state must not carry traffic: whoever started it starts it again.
function die(error: unknown): void {
  process.stderr.write(`weft sidecar: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  process.exit(1)
}
process.on('uncaughtException', die)
process.on('unhandledRejection', die)
main().catch(die)
