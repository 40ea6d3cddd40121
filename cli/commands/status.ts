// weft status: services and pods of a mesh, what each sidecar is and has, and what is wrong with the configuration.
import { join } from 'node:path'
import type { Context } from '../context.ts'
import { type ControlStatus, controlApi } from '../control-api.ts'
import { messageOf } from '../failure.ts'
import { findMesh } from '../find-mesh.ts'
import { formatTable, paint, type Terminal } from '../terminal.ts'
import { call } from '../up/http.ts'
import { meshPaths } from '../up/paths.ts'
import type { MeshState, PodState } from '../up/state.ts'

export interface StatusFlags {
  readonly output?: string
  readonly mesh?: string
}

interface PodReport extends Omit<PodState, 'env' | 'workingDirectory' | 'user'> {
  /** null: no sidecar, or it does not answer. */
  readonly certificateExpiresAt: string | null
  readonly isConnected: boolean
}

interface Report {
  readonly mesh: string
  readonly phase: string
  readonly gateways: readonly string[]
  readonly system: MeshState['system']
  readonly services: MeshState['services']
  readonly pods: readonly PodReport[]
  /** null with `controlError`: control does not answer. */
  readonly control: ControlStatus | null
  readonly controlError: string | null
}

export async function status({ terminal, runDirectory }: Context, flags: StatusFlags): Promise<void> {
  const mesh = findMesh(flags.mesh, runDirectory)
  const report = await makeReport(mesh, runDirectory)
  if (flags.output === 'json') return terminal.out(JSON.stringify(report, null, 2))
  tell(terminal, report)
}

async function makeReport(mesh: MeshState, runDirectory: string): Promise<Report> {
  const isMeshed = mesh.pods.some((pod) => pod.isMeshed)
  const asked = isMeshed ? await controlApi(mesh, runDirectory).status().catch(messageOf) : null
  const control = typeof asked === 'string' ? null : asked
  const connected = new Set(control?.sidecars.map(({ pod }) => pod))
  const { pods: directory } = meshPaths(mesh.name, runDirectory)
  const pods = mesh.pods.map(async ({ env: _, workingDirectory: __, user: ___, ...pod }) => ({
    ...pod,
    certificateExpiresAt: pod.isMeshed ? await certificateExpiry(join(directory, pod.name, 'admin.sock')) : null,
    isConnected: connected.has(pod.name),
  }))
  return {
    mesh: mesh.name,
    phase: mesh.phase,
    gateways: mesh.gateways,
    system: mesh.system,
    services: mesh.services,
    pods: await Promise.all(pods),
    control,
    controlError: typeof asked === 'string' ? asked : null,
  }
}

async function certificateExpiry(socketPath: string): Promise<string | null> {
  try {
    const { body } = await call({ socketPath, path: '/certificates', timeoutMs: 2_000 })
    return (JSON.parse(body) as { expiresAt: string | null }).expiresAt
  } catch {
    return null
  }
}

function tell(terminal: Terminal, report: Report): void {
  const heading = (text: string) => terminal.out(paint(terminal, 'bold', text))
  heading(`mesh ${report.mesh}: ${report.phase}, gateway ${report.gateways.join(', ')}`)
  for (const part of report.system) terminal.out(describeSystem(part))
  terminal.out('')
  terminal.out(
    formatTable([
      ['SERVICE', 'PORTS', 'READY', 'ADDRESSES'],
      ...report.services.map((each) => serviceRow(report, each)),
    ]),
  )
  terminal.out('')
  terminal.out(
    formatTable([
      ['POD', 'READY', 'SIDECAR', 'RESTARTS', 'CERTIFICATE', 'IDENTITY', 'ADDRESSES'],
      ...report.pods.map(podRow),
    ]),
  )
  const mistakes = configurationMistakes(report)
  if (mistakes.length === 0) return
  terminal.out('')
  for (const mistake of mistakes) terminal.out(`${paint(terminal, 'bad', '!')} ${mistake}`)
}

function serviceRow({ pods }: Report, service: MeshState['services'][number]): string[] {
  const ready = pods.filter((pod) => pod.ready && service.pods.includes(pod.name)).length
  return [
    `${service.name}.${service.namespace}`,
    service.ports.join(','),
    `${ready}/${service.pods.length}`,
    service.addresses.join(', '),
  ]
}

function podRow(pod: PodReport): string[] {
  const restarts = pod.application.restarts + (pod.sidecar?.restarts ?? 0)
  const lastEnd = pod.application.lastEnd ?? pod.sidecar?.lastEnd ?? null
  return [
    `${pod.name}.${pod.namespace}`,
    readiness(pod),
    sidecarState(pod),
    restarts === 0 ? '0' : `${restarts} (${lastEnd})`,
    expiry(pod.certificateExpiresAt),
    pod.isMeshed ? pod.identity : '-',
    pod.addresses.join(', '),
  ]
}

function describeSystem({ name, pid, restarts, lastEnd }: MeshState['system'][number]): string {
  const state = pid === null ? 'not running' : `process ${pid}`
  return `${name}: ${state}${restarts === 0 ? '' : `, started again ${restarts === 1 ? 'once' : `${restarts} times`} (${lastEnd})`}`
}

function readiness(pod: PodReport): string {
  if (pod.terminating) return 'ending'
  return pod.ready ? 'yes' : 'no'
}

function sidecarState(pod: PodReport): string {
  if (!pod.isMeshed) return 'none'
  if (pod.sidecar?.pid == null) return 'not running'
  return pod.isConnected ? 'connected' : 'apart from control'
}

function expiry(at: string | null): string {
  if (at === null) return '-'
  const minutes = Math.round((Date.parse(at) - Date.now()) / 60_000)
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`
}

function configurationMistakes({ control, controlError }: Report): string[] {
  if (controlError !== null) return [controlError]
  const objects = control?.objects ?? []
  return [
    ...(control?.problems ?? []),
    ...whoseCount(control),
    ...objects.flatMap(({ object, ancestors }) =>
      ancestors.flatMap(({ conditions }) =>
        conditions.filter(({ status }) => !status).map(({ reason, message }) => `${object}: ${reason}: ${message}`),
      ),
    ),
    ...objects.flatMap(({ object, refused }) =>
      refused.map(({ pod, error }) => `${object}: refused by the sidecar of ${pod}: ${error}`),
    ),
    ...objects
      .filter(({ applied, of }) => applied < of)
      .map(
        ({ object, applied, of, lagging }) => `${object}: applied by ${applied} of ${of}; not by ${lagging.join(', ')}`,
      ),
  ]
}

/** Where several replicas of control serve a mesh, one counts the sidecars of all. */
function whoseCount(control: ControlStatus | null): readonly string[] {
  const counted = control?.counted ?? null
  if (counted?.scope === 'replica') {
    const who = counted.leader === null ? 'nobody yet' : counted.leader
    return [`counts are of the sidecars of ${counted.replica} alone; of the whole mesh they are had from ${who}`]
  }
  const missing = counted?.missing ?? []
  return missing.length === 0 ? [] : [`counts are "at least": no full report yet of ${missing.join(', ')}`]
}
