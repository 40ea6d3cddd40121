// One review: is it a pod that gets a sidecar, and with which patch? Fails closed: only pods of those who asked come here.
import type { Log } from '#shared/log.ts'
import { decideInjection } from '#shared/pod/eligible.ts'
import { type OwnerReference, type Pod, readPod, type TextMap } from '#shared/pod/kubernetes-pod.ts'
import { INJECT_LABEL } from '#shared/pod/names.ts'
import { podPatch } from '#shared/pod/patch.ts'
import { differences } from '#shared/pod/patch-json.ts'
import { statusAnnotation } from '#shared/pod/status.ts'
import type { InjectionSettings } from '#shared/pod/template.ts'
import type { AdmissionRequest } from '#shared/webhook/review.ts'
import type { Judged } from '#shared/webhook/server.ts'

/** Where the labels of namespaces come from. */
export interface Namespaces {
  /** Undefined: they cannot be had now. Never rejects. */
  labelsOf(name: string): TextMap | undefined | Promise<TextMap | undefined>
}

/** Who is told of pods that were asked for and could not be injected. Never called for a dry run. */
export interface Reporter {
  refused(refusal: Refusal): void
}

export interface Refusal {
  readonly namespace: string
  /** Its name, or the beginning of it: the API server has not made one yet. */
  readonly pod: string
  /** The pod itself does not exist yet: an Event is about its owner. */
  readonly owner: OwnerReference | undefined
  readonly reason: string
}

export interface AdmitOptions {
  readonly settings: InjectionSettings
  readonly ownNamespace: string
  readonly namespaces: Namespaces
  readonly reporter: Reporter
  readonly log: Log
}

export type Outcome = 'injected' | 'skipped' | 'refused' | 'failed'
type Admission = Judged<Outcome>

const ASK = { [INJECT_LABEL]: 'enabled' }
const SKIPPED: Admission = { outcome: 'skipped', verdict: {} }

/** Never rejects: what goes wrong is a denial that says so. */
export async function admit(request: AdmissionRequest, options: AdmitOptions): Promise<Admission> {
  // Only a new pod can get containers; anything else has reached us by a wrong rule, and is none of our business.
  if (request.operation !== 'CREATE' || request.resource !== '/v1/pods') return SKIPPED
  try {
    return await admitPod(readPod(request.object), request, options)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    options.log.error({ err: cause, namespace: request.namespace, uid: request.uid }, 'a pod could not be injected')
    const message = `weft could not add its sidecar (${why.slice(0, 300)}); to run without it, label the pod weft.dev/inject: disabled`
    return { outcome: 'failed', verdict: { denial: { code: 500, message } } }
  }
}

/** A pod that says itself what it wants needs no word of its namespace. */
async function labelsOf(pod: Pod, namespace: string, { namespaces, log }: AdmitOptions): Promise<TextMap> {
  if (pod.metadata?.labels?.[INJECT_LABEL] !== undefined) return {}
  const known = await namespaces.labelsOf(namespace)
  if (known !== undefined) return known
  // Fails closed: the selectors of the webhook let nothing through that nobody has labelled.
  log.warn({ namespace }, 'the labels of the namespace cannot be had; the selectors of the webhook are trusted')
  return ASK
}

async function admitPod(pod: Pod, request: AdmissionRequest, options: AdmitOptions): Promise<Admission> {
  const { settings, ownNamespace, log } = options
  const { namespace, isDryRun } = request
  const namespaceLabels = await labelsOf(pod, namespace, options)
  const decision = decideInjection(pod, { namespace, namespaceLabels, ownNamespace })
  if (decision.kind === 'skip') return SKIPPED
  const metadata = pod.metadata ?? {}
  const name = metadata.name ?? `${metadata.generateName ?? ''}...`
  if (decision.kind === 'refuse') {
    const { reason } = decision
    log.warn({ namespace, pod: name, reason, dryRun: isDryRun }, 'a pod runs without a sidecar')
    const owner = metadata.ownerReferences?.find(({ controller }) => controller === true)
    if (!isDryRun) options.reporter.refused({ namespace, pod: name, owner, reason })
    const annotations = statusAnnotation({ version: settings.version, injected: false, reason })
    const told = { ...pod, metadata: { ...metadata, annotations: { ...metadata.annotations, ...annotations } } }
    return {
      outcome: 'refused',
      verdict: { patch: differences(pod, told), warnings: [`no sidecar: ${reason}`] },
    }
  }
  const { patch, warnings } = podPatch(pod, { settings })
  log.info({ namespace, pod: name, operations: patch.length, warnings, dryRun: isDryRun }, 'injected')
  return { outcome: 'injected', verdict: { patch, warnings } }
}
