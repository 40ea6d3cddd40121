// weft inject: prints manifests with their sidecars, for whoever wants to see or keep what the webhook would do.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { USUAL_SETTINGS } from '#shared/pod/template.ts'
import type { Context } from '../context.ts'
import { Failure, messageOf } from '../failure.ts'
import { type InjectedManifests, injectManifests } from '../inject/manifests.ts'
import { paint } from '../terminal.ts'

export interface InjectFlags {
  readonly filename: string
  readonly namespace: string
  readonly weftNamespace: string
  readonly image: string
  readonly trustDomain: string
  readonly clusterDomain?: string
  /** CIDRs parted by commas. */
  readonly meshRanges: string
}

export function inject(context: Context, flags: InjectFlags): void {
  const { terminal } = context
  const result = injectText(readText(context, flags.filename), flags)
  // Standard output is the manifests alone, for a pipe to kubectl.
  process.stdout.write(result.text)
  for (const warning of result.warnings) terminal.error(`${paint(terminal, 'bad', 'warning:')} ${warning}`)
  terminal.error(
    result.injected.length === 0
      ? 'nothing to inject: want a Pod, Deployment, StatefulSet, DaemonSet, ReplicaSet, Job or CronJob'
      : `injected: ${result.injected.join(', ')}`,
  )
}

function injectText(text: string, flags: InjectFlags): InjectedManifests {
  const { weftNamespace, clusterDomain } = flags
  const domain = clusterDomain === undefined ? 'svc' : `svc.${clusterDomain}`
  const settings = {
    ...USUAL_SETTINGS,
    image: flags.image,
    trustDomain: flags.trustDomain,
    systemNamespace: weftNamespace,
    meshRanges: flags.meshRanges.split(',').filter((range) => range !== ''),
    controlAddress: `weft-control.${weftNamespace}.${domain}:15010`,
    certsAddress: `weft-certs.${weftNamespace}.${domain}:15012`,
  }
  try {
    return injectManifests(text, { settings, namespace: flags.namespace, ownNamespace: weftNamespace })
  } catch (error) {
    throw Failure.from(
      error,
      `${flags.filename}: ${messageOf(error)}`,
      'Nothing was printed. Correct and inject again.',
    )
  }
}

function readText({ workingDirectory }: Context, file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : resolve(workingDirectory, file), 'utf8')
  } catch (error) {
    throw Failure.from(error, `${file} cannot be read: ${messageOf(error)}`, 'Say which file: weft inject -f FILE')
  }
}
