// What differs between one machine and Kubernetes: where the root is kept, who vouches for a token, where the bundle goes.
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Clock } from '#shared/clock.ts'
import { createKubeClient } from '#shared/kube/client.ts'
import { connectionOf } from '#shared/kube/connect.ts'
import { createOwners } from '#shared/kube/installation.ts'
import type { Log } from '#shared/log.ts'
import { type Watch, Watched } from '#shared/watch.ts'
import { type Attestor, createTokenAttestor } from './attest.ts'
import { createKubernetesAttestor } from './attest-kubernetes.ts'
import type { Authority } from './authority.ts'
import { publishBundle } from './bundle-config-maps.ts'
import type { CertsConfig } from './config.ts'
import { hasSidecars, watchNamespaces } from './namespaces.ts'
import { openAuthority, writeWhole } from './root-files.ts'
import { openRootSecret } from './root-secret.ts'

export interface Platform {
  readonly authority: Watch<Authority>
  readonly attestor: Attestor
  /** Called once, when certs answers: who reads the bundle may ask at once. */
  publish(): void
  close(): void
}

export interface PlatformParts {
  readonly clock: Clock
  readonly log: Log
  readonly random: () => number
}

/** A signing call waits for two answers, and the caller gives it 10 s. */
const API_LIMIT_MS = 4_000

/** Rejects with an Error for people when the root cannot be used. */
export function openPlatform(config: Omit<CertsConfig, 'logLevel'>, parts: PlatformParts): Promise<Platform> {
  return config.attest === 'tokens' ? openMachine(config, parts) : openKubernetes(config, parts)
}

async function openMachine(config: Omit<CertsConfig, 'logLevel'>, { clock, log }: PlatformParts): Promise<Platform> {
  const authority = new Watched(await openAuthority({ ...config, wallMs: clock.wall() }))
  return {
    authority,
    attestor: createTokenAttestor(config.tokensFile, log),
    publish() {
      mkdirSync(dirname(config.bundleFile), { recursive: true })
      writeWhole(config.bundleFile, authority.current.bundle, 0o644)
    },
    close() {},
  }
}

async function openKubernetes(config: Omit<CertsConfig, 'logLevel'>, parts: PlatformParts): Promise<Platform> {
  const { clock } = parts
  const connection = await connectionOf(config, 'WEFT_KUBECONFIG')
  const client = createKubeClient({ connection, clock, userAgent: 'weft-certs', timeoutMs: API_LIMIT_MS })
  const { systemNamespace: own, trustDomain, tokenAudience: audience } = config
  const closers: (() => void)[] = [client.close]
  const root = await openRootSecret({
    ...parts,
    client,
    namespace: own,
    name: config.rootSecret,
    trustDomain,
    isGiven: config.rootFrom === 'given',
    owners: config.keepRoot ? async () => [] : createOwners(client),
  }).catch((error: unknown) => {
    client.close()
    throw error
  })
  closers.unshift(root.close)
  return {
    authority: root.authority,
    attestor: createKubernetesAttestor({ client, trustDomain, audience, clock }),
    publish() {
      const namespaces = watchNamespaces({ ...parts, client, own })
      const publisher = publishBundle({
        ...parts,
        client,
        authority: root.authority,
        namespaces: namespaces.current,
        hasSidecars: (namespace) => hasSidecars(client, namespace),
      })
      closers.unshift(publisher.close.bind(publisher), namespaces.close)
    },
    close() {
      for (const close of closers) close()
    },
  }
}
