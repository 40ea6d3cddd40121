// The root of a mesh on Kubernetes: a Secret of type kubernetes.io/tls, made at the first start unless it is given. It is read
// again while we run, so that a root or an intermediate is replaced without a restart; what cannot be used changes nothing.
import type { Clock } from '#shared/clock.ts'
import { MANAGED_BY, TRUST_BUNDLE } from '#shared/identity/kubernetes.ts'
import type { KubeClient } from '#shared/kube/client.ts'
import { isConflict, isNotFound } from '#shared/kube/error.ts'
import type { Owners } from '#shared/kube/installation.ts'
import { CONFIG_MAPS, type KubeObject, type ObjectName, SECRETS } from '#shared/kube/objects.ts'
import type { Log } from '#shared/log.ts'
import { type Watch, Watched } from '#shared/watch.ts'
import { type Authority, makeRoot, readAuthority } from './authority.ts'

export interface RootSecretOptions {
  readonly client: Pick<KubeClient, 'get' | 'create'>
  readonly namespace: string
  readonly name: string
  readonly trustDomain: string
  /** True: somebody else makes it (cert-manager), and a root of ours would be in the way. */
  readonly isGiven: boolean
  /** Of a root that is made here. With them it goes when they go; without, it outlives an installation. */
  readonly owners: Owners
  readonly clock: Clock
  readonly log: Log
}

export interface RootSecret {
  readonly authority: Watch<Authority>
  close(): void
}

const POLL_MS = 10_000

/** Rejects with an Error for people when the Secret cannot be read or used; it never replaces a root by itself. */
export async function openRootSecret(options: RootSecretOptions): Promise<RootSecret> {
  const { clock, log, namespace, name } = options
  const first = (await find(options)) ?? (await make(options))
  const authority = new Watched(read(first, options))
  let version = first.metadata.resourceVersion
  let complaint = ''
  let isClosed = false
  let cancel = () => {}

  async function look(): Promise<void> {
    try {
      const found = await options.client.get(SECRETS, { namespace, name })
      if (isClosed) return
      if (found.metadata.resourceVersion !== version) {
        const next = read(found, options)
        version = found.metadata.resourceVersion
        authority.set(next)
        log.info({ secret: `${namespace}/${name}`, endsAt: next.endsAt }, 'the root was read again')
      }
      complaint = ''
    } catch (error) {
      const reason = reasonOf(error)
      if (reason !== complaint) log.error({ reason }, 'the root cannot be read; the last good one stays')
      complaint = reason
    }
    schedule()
  }
  function schedule(): void {
    if (!isClosed) cancel = clock.after(POLL_MS, () => void look())
  }

  schedule()
  return {
    authority,
    close() {
      isClosed = true
      cancel()
    },
  }
}

async function find({ client, namespace, name }: RootSecretOptions): Promise<KubeObject | undefined> {
  return unlessMissing(client.get(SECRETS, { namespace, name }))
}

/** Of replicas that start together one wins; the others read what it has made. */
async function make(options: RootSecretOptions): Promise<KubeObject> {
  const { client, namespace, name, clock, trustDomain, owners, log } = options
  if (options.isGiven)
    throw new Error(
      `Secret ${namespace}/${name} is not there, and WEFT_ROOT_FROM=given: want it from who gives it, such as cert-manager`,
    )
  const byAnother = await requireFirstStart(options)
  if (byAnother !== undefined) return byAnother
  const { root, key } = await makeRoot({ trustDomain, wallMs: clock.wall() })
  const secret = {
    metadata: { namespace, name, labels: MANAGED_BY, ownerReferences: await owners() },
    type: 'kubernetes.io/tls',
    data: { 'tls.crt': toBase64(root), 'tls.key': toBase64(key), 'ca.crt': toBase64(root) },
  }
  try {
    const made = await client.create(SECRETS, secret)
    log.info({ secret: `${namespace}/${name}` }, 'a new root was made')
    return made
  } catch (error) {
    if (!isConflict(error)) throw error
    return client.get(SECRETS, { namespace, name })
  }
}

/** A mesh that has a trust bundle had a root: another one would cut every workload off. Resolves with the Secret if it is there by now. */
async function requireFirstStart(options: RootSecretOptions): Promise<KubeObject | undefined> {
  const { client, namespace, name } = options
  const place: ObjectName = { namespace, name: TRUST_BUNDLE.configMap }
  if ((await unlessMissing(client.get(CONFIG_MAPS, place))) === undefined) return undefined
  // Another replica may have made both since we looked.
  const secret = await find(options)
  if (secret !== undefined) return secret
  throw new Error(
    `Secret ${namespace}/${name} is gone, and ConfigMap ${namespace}/${place.name} shows that there was one: ` +
      `restore the Secret, or delete the ConfigMap to make a new root`,
  )
}

async function unlessMissing(question: Promise<KubeObject>): Promise<KubeObject | undefined> {
  try {
    return await question
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw error
  }
}

function read(secret: KubeObject, { namespace, name, trustDomain, clock }: RootSecretOptions): Authority {
  const of = `Secret ${namespace}/${name}`
  const data = (secret['data'] ?? {}) as Readonly<Record<string, unknown>>
  const text = (key: string) => {
    const value = data[key]
    if (typeof value !== 'string' || value === '') throw new Error(`${of} has no ${key}`)
    return Buffer.from(value, 'base64').toString('utf8')
  }
  const chain = text('tls.crt')
  const roots = data['ca.crt'] === undefined || data['ca.crt'] === '' ? chain : text('ca.crt')
  const wayOut = 'put a new pair there, or delete it and the trust bundle beside it to make a new root'
  const names = { chain: `tls.crt of ${of}`, key: `tls.key of ${of}`, roots: `ca.crt of ${of}`, wayOut }
  return readAuthority({ chain, key: text('tls.key'), roots, names }, { trustDomain, wallMs: clock.wall() })
}

const toBase64 = (text: string) => Buffer.from(text).toString('base64')

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
