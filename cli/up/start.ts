// Starts everything in a network that is there: files, certs, control, and the pods side by side.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Bundle } from './bundles.ts'
import { asUser, inNamespace } from './commands.ts'
import {
  applicationEnvironment,
  type Environment,
  PORTS,
  SIDECAR_ID,
  type SystemSettings,
  sidecarEnvironment,
} from './environment.ts'
import { createLimit, type Limit } from './limit.ts'
import { hostsFile } from './names.ts'
import { createPodNamespace, networkOf } from './namespaces.ts'
import { makePrivateDirectory, writeAtomic, writePrivate } from './paths.ts'
import type { PodPlan } from './plan.ts'
import { Pod } from './pod.ts'
import { checkPorts } from './requirements.ts'
import type { Running } from './running.ts'
import { type SystemParts, startCerts, startControl } from './system-processes.ts'
import { makeTokens, type Tokens } from './world.ts'

/** Sidecars that start at the same time: more would only wait for the processor. */
const SIDECARS_AT_ONCE = 4
const SIDECAR_TIMEOUT_MS = 60_000

/** The host's name servers cannot be reached from a pod: each unknown name would wait for them, this way it fails at once. */
const RESOLVER = '# made by weft up: the names of the mesh are in /etc/hosts, and there is no way out of it\n'

/** Many an application listens on 0.0.0.0 alone, and services of Kubernetes are IPv4 unless they say otherwise. */
const PREFERENCE =
  '# made by weft up: of the two addresses of a name the IPv4 one first\nprecedence ::ffff:0:0/96 100\n'

export interface StartParts {
  readonly base: Environment
  readonly settings: SystemSettings
  readonly commandOf: (bundle: Bundle) => readonly string[]
  readonly workingDirectory: string
  /** What control reads and watches. */
  readonly configFile: string
  readonly readyTimeoutMs: number
  readonly report: (line: string) => void
  readonly signal: AbortSignal
}

export async function start(running: Running, parts: StartParts): Promise<void> {
  const { plan } = running
  const onAbort = () => {
    for (const pod of running.pods.values()) pod.markTerminating()
  }
  parts.signal.throwIfAborted()
  parts.signal.addEventListener('abort', onAbort, { once: true })
  try {
    const tokens = makeTokens(plan)
    writeTokens(running, tokens)
    for (const pod of plan.pods) running.addPod(createPod(running, parts, pod))
    running.publish()
    // Without sidecars nobody would ask them.
    if (plan.pods.some((pod) => pod.isMeshed)) await startSystem(running, parts)
    const limit = createLimit(SIDECARS_AT_ONCE)
    const results = await Promise.allSettled(
      [...running.pods.values()].map((pod) => startPod(running, parts, pod, limit)),
    )
    const failed = results.find((result) => result.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  } finally {
    parts.signal.removeEventListener('abort', onAbort)
  }
}

async function startSystem(running: Running, parts: StartParts): Promise<void> {
  const { plan, paths } = running
  await checkPorts(
    plan.gateways.map(({ address }) => address),
    Object.values(PORTS),
  )
  const system: SystemParts = { ...parts, plan, paths, onChange: running.publishSoon }
  const started: Running['addSystem'] = (name, process) => running.addSystem(name, process)
  const gateway = plan.gateways[0]?.address ?? ''
  await startCerts(system, started)
  parts.report(`certs: signing at ${gateway}:${PORTS.certificates}`)
  await startControl(system, started)
  parts.report(
    `control: discovery at ${gateway}:${PORTS.discovery}, spans at :${PORTS.otlpGrpc} and :${PORTS.otlpHttp}`,
  )
}

async function startPod(running: Running, parts: StartParts, pod: Pod, limit: Limit): Promise<void> {
  const { plan } = pod
  await limit(async () => {
    parts.signal.throwIfAborted()
    writeHosts(running, plan)
    await createPodNamespace(networkOf(running.name), {
      namespace: plan.networkNamespace,
      index: plan.index,
      addresses: plan.interfaces,
      gateways: running.plan.gateways.map(({ address }) => address),
    })
    await pod.startSidecar(SIDECAR_TIMEOUT_MS)
  })
  // Not under the limit: an application may wait for another one that has yet to start.
  await pod.startApplication(parts.readyTimeoutMs)
  parts.report(`pod ${plan.name}: ready at ${plan.addresses.join(', ')}${plan.isMeshed ? '' : ', without a sidecar'}`)
}

function writeTokens({ plan, paths }: Running, tokens: Tokens): void {
  writeAtomic(paths.tokens, JSON.stringify(tokens.registry), 0o600)
  writePrivate(join(paths.control, 'token'), tokens.ofControl, 0)
  for (const pod of plan.pods) {
    const token = tokens.ofPods.get(pod.name)
    if (token === undefined) continue
    const directory = join(paths.pods, pod.name)
    makePrivateDirectory(directory, SIDECAR_ID)
    writePrivate(join(directory, 'token'), token, SIDECAR_ID)
  }
}

/** `ip netns exec` shows these files in /etc. */
function writeHosts(running: Running, pod: PodPlan): void {
  const directory = join('/etc/netns', pod.networkNamespace)
  mkdirSync(directory, { recursive: true, mode: 0o755 })
  writeFileSync(join(directory, 'hosts'), hostsFile(running.plan, pod), { mode: 0o644 })
  writeFileSync(join(directory, 'resolv.conf'), RESOLVER, { mode: 0o644 })
  // Shown only over a file that the host has.
  if (existsSync('/etc/gai.conf')) writeFileSync(join(directory, 'gai.conf'), PREFERENCE, { mode: 0o644 })
}

function createPod(running: Running, parts: StartParts, pod: PodPlan): Pod {
  const { plan, paths } = running
  const { base, settings } = parts
  const directory = join(paths.pods, pod.name)
  const sidecarPlace = { paths, directory, settings }
  return new Pod({
    plan: pod,
    application: {
      argv: inNamespace(pod.networkNamespace, asUser(pod.user, pod.command)),
      env: applicationEnvironment(base, pod),
      cwd: resolve(parts.workingDirectory, pod.workingDirectory ?? '.'),
      logFile: join(paths.logs, `${pod.name}.log`),
    },
    sidecar: pod.isMeshed
      ? {
          argv: inNamespace(pod.networkNamespace, parts.commandOf('sidecar')),
          env: sidecarEnvironment(base, plan, pod, sidecarPlace),
          cwd: '/',
          logFile: join(paths.logs, `${pod.name}.sidecar.log`),
        }
      : null,
    adminSocket: join(directory, 'admin.sock'),
    onChange: running.publishSoon,
  })
}
