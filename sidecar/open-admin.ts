// What the running sidecar tells of itself on its own ports.

import type { IdentitySource } from '#flow/identity.ts'
import type { Log } from '#shared/log.ts'
import type { Listener } from './accept/listener.ts'
import { type Admin, createAdmin } from './admin/admin.ts'
import type { Drain } from './admin/drain.ts'
import type { Probes } from './admin/probe.ts'
import type { SidecarConfig } from './config.ts'
import type { Discovery } from './discover/client.ts'
import type { createSidecar } from './sidecar.ts'
import type { createTelemetry } from './telemetry.ts'

export interface Running {
  readonly config: SidecarConfig
  readonly log: Log
  readonly probes: Probes
  readonly identity: IdentitySource
  readonly discovery: Discovery
  readonly telemetry: ReturnType<typeof createTelemetry>
  readonly sidecar: ReturnType<typeof createSidecar>
  readonly listeners: { readonly inbound: Listener; readonly outbound: Listener }
  readonly drain: Drain
}

export function openAdmin(running: Running): Promise<Admin> {
  const { config, log, discovery, telemetry, drain } = running
  return createAdmin({
    ready: () => readiness(running),
    metrics: telemetry.metrics.render,
    ...applicationMetrics(running),
    dumps: {
      config: () => ({ settings: config, workload: discovery.workload.current ?? null, discovery: discovery.dump() }),
      endpoints: () => discovery.dump(),
      certificates: () => certificates(running),
      connections: () => connections(running),
    },
    logLevel: {
      get: () => log.level,
      set(level) {
        log.level = level
      },
    },
    drain: drain.start,
    probes: {
      probes: running.probes,
      address: () => config.podAddresses[0] ?? '127.0.0.1',
      isDraining: () => drain.state.current !== 'serving',
    },
    log,
    listen: { ...config, adminSocket: config.adminSocket === '' ? null : config.adminSocket },
  })
}

function applicationMetrics({ config }: Running) {
  const { applicationMetrics: place, podAddresses } = config
  return place === null ? {} : { applicationMetrics: { ...place, host: podAddresses[0] ?? '127.0.0.1' } }
}

/** Never depends on control being there. */
function readiness({ identity, drain }: Running) {
  const reasons: string[] = []
  const { current } = identity
  if (current === undefined) reasons.push('no certificate yet: is certs reachable?')
  // Callers would refuse us, so none should be sent here.
  else if (current.expiresAt.getTime() <= Date.now()) reasons.push('the certificate has expired: is certs reachable?')
  if (drain.state.current !== 'serving') reasons.push('draining')
  return { isReady: reasons.length === 0, reasons }
}

/** The certificates, which are public; never the key. */
function certificates({ identity }: Running) {
  const { id = null, expiresAt = null, chain = null, roots = null } = identity.current ?? {}
  return { id, expiresAt, chain, roots }
}

function connections({ listeners, sidecar }: Running) {
  const { inbound, outbound } = sidecar.serving
  return {
    inbound: { open: listeners.inbound.open, http: inbound.count() },
    outbound: { open: listeners.outbound.open, http: outbound.count() },
    upstream: sidecar.upstreams.stats(),
  }
}
