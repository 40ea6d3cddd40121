// The environments of the processes of a mesh. Each carries the mark of the mesh, so that leftovers are found.
import { dirname } from 'node:path'
import type { MeshPaths } from './paths.ts'
import type { MeshPlan, PodPlan } from './plan.ts'
import { MESH_MARK } from './process-table.ts'

export type Environment = Readonly<Record<string, string>>

/** Ports on the gateway addresses. */
export const PORTS = { discovery: 15010, certificates: 15012, otlpGrpc: 4317, otlpHttp: 4318 } as const

/** Uid and gid of the sidecars, which iptables leaves alone. */
export const SIDECAR_ID = 1337

export interface SystemSettings {
  readonly svidLifetime: string
  readonly logLevel: string
}

/** What every process starts from: little, as in a container, with the pinned Node first. */
export function baseEnvironment(mesh: string, caller: NodeJS.ProcessEnv): Environment {
  const kept = ['HOME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR'].flatMap((name) => {
    const value = caller[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  const path = caller['PATH'] ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
  const node = dirname(process.execPath)
  const rest = path.split(':').filter((directory) => directory !== node)
  return { ...Object.fromEntries(kept), PATH: [node, ...rest].join(':'), [MESH_MARK]: mesh }
}

export function applicationEnvironment(base: Environment, pod: PodPlan): Environment {
  return {
    ...base,
    WEFT_REPLICA: `${pod.ordinal}`,
    POD_NAME: pod.name,
    POD_NAMESPACE: pod.namespace,
    POD_IP: pod.addresses[0] ?? '',
    ...pod.env,
  }
}

export function sidecarEnvironment(
  base: Environment,
  plan: MeshPlan,
  pod: PodPlan,
  place: { paths: MeshPaths; directory: string; settings: SystemSettings },
): Environment {
  const gateway = plan.gateways[0]?.address ?? ''
  return {
    ...base,
    WEFT_POD_NAME: pod.name,
    WEFT_POD_NAMESPACE: pod.namespace,
    WEFT_SERVICE_ACCOUNT: pod.serviceAccount,
    WEFT_TRUST_DOMAIN: plan.trustDomain,
    WEFT_POD_ADDRESSES: pod.addresses.join(','),
    WEFT_MESH_RANGES: [...plan.ranges.pods, ...plan.ranges.services].map((range) => range.text).join(','),
    WEFT_CONTROL_ADDRESS: `${gateway}:${PORTS.discovery}`,
    WEFT_CERTS_ADDRESS: `${gateway}:${PORTS.certificates}`,
    WEFT_BUNDLE_FILE: place.paths.bundle,
    WEFT_TOKEN_FILE: `${place.directory}/token`,
    WEFT_STATE_DIR: place.directory,
    WEFT_ADMIN_SOCKET: `${place.directory}/admin.sock`,
    WEFT_RUN_AS: `${SIDECAR_ID}`,
    WEFT_PROBES: JSON.stringify({
      ...(pod.readiness !== undefined && { readiness: pod.readiness }),
      ...(pod.liveness !== undefined && { liveness: pod.liveness }),
    }),
    WEFT_LOG_LEVEL: place.settings.logLevel,
    OTEL_SERVICE_NAME: pod.workload,
  }
}

export function certsEnvironment(
  base: Environment,
  plan: MeshPlan,
  paths: MeshPaths,
  settings: SystemSettings,
): Environment {
  return {
    ...base,
    WEFT_LISTEN: listenOn(plan, PORTS.certificates),
    WEFT_STATE_DIR: paths.authority,
    WEFT_BUNDLE_FILE: paths.bundle,
    WEFT_TOKENS_FILE: paths.tokens,
    WEFT_TRUST_DOMAIN: plan.trustDomain,
    WEFT_SVID_LIFETIME: settings.svidLifetime,
    WEFT_LOG_LEVEL: settings.logLevel,
  }
}

export function controlEnvironment(
  base: Environment,
  plan: MeshPlan,
  paths: MeshPaths,
  settings: SystemSettings,
): Environment {
  return {
    ...base,
    WEFT_CONFIG_FILES: `${paths.mesh},${paths.applied}`,
    WEFT_WORLD_FILE: paths.world,
    WEFT_LISTEN: listenOn(plan, PORTS.discovery),
    WEFT_OTLP_GRPC_LISTEN: listenOn(plan, PORTS.otlpGrpc),
    WEFT_OTLP_HTTP_LISTEN: listenOn(plan, PORTS.otlpHttp),
    WEFT_SOCKET: paths.controlSocket,
    WEFT_CERTS_ADDRESS: `${plan.gateways[0]?.address ?? ''}:${PORTS.certificates}`,
    WEFT_BUNDLE_FILE: paths.bundle,
    WEFT_TOKEN_FILE: `${paths.control}/token`,
    WEFT_STATE_DIR: paths.control,
    WEFT_TRUST_DOMAIN: plan.trustDomain,
    WEFT_LOG_LEVEL: settings.logLevel,
  }
}

function listenOn(plan: MeshPlan, port: number): string {
  return plan.gateways
    .map(({ address }) => (address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`))
    .join(',')
}
