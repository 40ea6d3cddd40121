// A pod with its sidecar, and the way there as a JSON Patch. Done again on its own result nothing changes; done again after
// another webhook, what that one has added is treated like the rest.
import { formatMistake, readAnnotations } from './annotations.ts'
import { type Container, type Pod, workloadOf } from './kubernetes-pod.ts'
import { INIT_CONTAINER, isOwnVolume, PORTS, PROXY_CONTAINER } from './names.ts'
import { differences, type Operation } from './patch-json.ts'
import { mergeMetrics } from './patch-metrics.ts'
import { keepForeign, variableOf } from './patch-reinvoke.ts'
import { parseTaken, type RewriteContext, rewriteProbes } from './probes.ts'
import { configHash, statusAnnotation } from './status.ts'
import { type InjectionSettings, initContainer, proxyContainer, sidecarVolumes } from './template.ts'
import { drainOf, resourcesOf } from './template-resources.ts'

export interface InjectionContext {
  readonly settings: InjectionSettings
  /** Where no owner tells it, as in a manifest. */
  readonly workload?: string
}

export interface Injected {
  readonly pod: Pod
  /** For people: what was asked for and could not be done as it stands. */
  readonly warnings: readonly string[]
}

/** Kubernetes' own default. */
const GRACE_SECONDS = 30

export function injectPod(pod: Pod, context: InjectionContext): Injected {
  const { settings } = context
  const { spec, metadata = {} } = pod
  const { options, mistakes } = readAnnotations(metadata.annotations ?? {})
  const inits = spec.initContainers ?? []
  const earlier = inits.find(({ name }) => name === PROXY_CONTAINER)
  const graceSeconds = spec.terminationGracePeriodSeconds ?? GRACE_SECONDS
  const previous = parseTaken(variableOf(earlier, 'WEFT_PROBES'))
  const applications = rewriteAll(spec.containers, { previous, graceSeconds })
  const others = rewriteAll(inits.filter(isForeign), { previous, graceSeconds })
  const metrics = mergeMetrics(pod, variableOf(earlier, 'WEFT_APPLICATION_METRICS'))
  const drain = drainOf(options, graceSeconds)
  const resources = resourcesOf(options)
  const proxy = proxyContainer(settings, {
    options,
    resources: resources.value,
    memoryLimitBytes: resources.memoryLimitBytes,
    probes: { ...others.taken, ...applications.taken },
    drainSeconds: drain.seconds,
    serviceName: serviceNameOf(pod, context),
    applicationMetrics: metrics.application,
  })
  const init = initContainer(settings, options)
  const foundInit = inits.find(({ name }) => name === INIT_CONTAINER)
  const sleepSeconds = Math.min(options['pre-stop-sleep'] ?? 0, Math.floor(graceSeconds / 3))
  const status = { version: settings.version, injected: true, config: configHash(settings, options) } as const
  const annotations = { ...metadata.annotations, ...metrics.annotations, ...statusAnnotation(status) }
  const changed = {
    initContainers: [keepForeign(init, foundInit), keepForeign(proxy, earlier), ...others.containers],
    containers: applications.containers.map((container) => withSleep(container, sleepSeconds)),
    volumes: [...(spec.volumes ?? []).filter(({ name }) => !isOwnVolume(name)), ...sidecarVolumes(settings)],
  }
  const troubled = [drain, resources, metrics, applications, others].flatMap(({ warnings }) => warnings)
  return {
    pod: { ...pod, metadata: { ...metadata, annotations }, spec: { ...spec, ...changed } },
    warnings: [...mistakes.map(formatMistake), ...troubled, ...spec.containers.flatMap(takenPorts)],
  }
}

export function podPatch(pod: Pod, context: InjectionContext): { patch: Operation[]; warnings: readonly string[] } {
  const injected = injectPod(pod, context)
  return { patch: differences(pod, injected.pod), warnings: injected.warnings }
}

const isForeign = ({ name }: Container) => name !== INIT_CONTAINER && name !== PROXY_CONTAINER

function rewriteAll(containers: readonly Container[], context: RewriteContext) {
  const all = containers.map((container) => rewriteProbes(container, context))
  return {
    containers: all.map(({ container }) => container),
    taken: Object.assign({}, ...all.map(({ taken }) => taken)) as Record<string, unknown>,
    warnings: all.flatMap(({ warnings }) => warnings),
  }
}

/** Callers that have not heard yet that the pod leaves still find it, until EndpointSlices have told them. */
function withSleep(container: Container, seconds: number): Container {
  const { lifecycle } = container
  if (seconds < 1 || lifecycle?.preStop !== undefined) return container
  return { ...container, lifecycle: { ...lifecycle, preStop: { sleep: { seconds } } } }
}

/** As OpenTelemetry has it for Kubernetes: what the pod says of itself, then the workload. */
function serviceNameOf(pod: Pod, context: InjectionContext): string {
  const { annotations = {}, labels = {}, name = '' } = pod.metadata ?? {}
  return (
    annotations['resource.opentelemetry.io/service.name'] ??
    labels['app.kubernetes.io/name'] ??
    workloadOf(pod) ??
    context.workload ??
    name
  )
}

function takenPorts({ name, ports = [] }: Container): string[] {
  const own = new Set<number>(Object.values(PORTS))
  return ports.flatMap(({ containerPort }) =>
    containerPort !== undefined && own.has(containerPort)
      ? [`container ${name} has port ${containerPort}, which is the sidecar's: one of both will not start`]
      : [],
  )
}
