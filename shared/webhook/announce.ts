// Tells the API server which certificates of the webhook to trust: the caBundle of each webhook in the configurations named.
import type { KubeClient } from '#shared/kube/client.ts'
import { isNotFound } from '#shared/kube/error.ts'
import { type KubeObject, MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS } from '#shared/kube/objects.ts'
import type { Log } from '#shared/log.ts'

export interface AnnouncerOptions {
  readonly client: Pick<KubeClient, 'get' | 'replace'>
  readonly mutating: readonly string[]
  readonly validating?: readonly string[]
  readonly log: Log
}

/** Writes only where something else stands. A configuration that is not there (not yet, or uninstalled) is passed over. */
export function createAnnouncer(options: AnnouncerOptions): (trusted: readonly string[]) => Promise<void> {
  const { client, log, mutating, validating = [] } = options
  return async (trusted) => {
    const caBundle = Buffer.from(trusted.join('')).toString('base64')
    const places = [
      ...mutating.map((name) => [MUTATING_WEBHOOKS, name] as const),
      ...validating.map((name) => [VALIDATING_WEBHOOKS, name] as const),
    ]
    for (const [of, name] of places) {
      const found = await client.get(of, { name }).catch((error: unknown) => {
        if (isNotFound(error)) return undefined
        throw error
      })
      const changed = found === undefined ? undefined : withBundle(found, caBundle)
      if (changed === undefined) continue
      // Refused when somebody else has written meanwhile; the next look takes that into account.
      await client.replace(of, changed)
      log.info(
        { kind: of.kind, name, certificates: trusted.length },
        'the API server was told which certificates to trust',
      )
    }
  }
}

interface Webhook {
  readonly clientConfig?: { readonly caBundle?: string }
}

/** undefined when all have it already. */
function withBundle(configuration: KubeObject, caBundle: string): KubeObject | undefined {
  const webhooks = (configuration['webhooks'] ?? []) as readonly Webhook[]
  if (webhooks.every(({ clientConfig }) => clientConfig?.caBundle === caBundle)) return undefined
  return {
    ...configuration,
    webhooks: webhooks.map((webhook) => ({ ...webhook, clientConfig: { ...webhook.clientConfig, caBundle } })),
  }
}
