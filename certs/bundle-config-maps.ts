// The trust bundle where pods can mount it: a ConfigMap in each namespace with sidecars, and in our own. Every replica writes
// the same by server-side apply, so that none has to lead and a write that changes nothing costs no version.
import type { Clock } from '#shared/clock.ts'
import { MANAGED_BY, TRUST_BUNDLE } from '#shared/identity/kubernetes.ts'
import type { KubeClient } from '#shared/kube/client.ts'
import { isNotFound } from '#shared/kube/error.ts'
import { createOwners, type OwnerReference, type Owners } from '#shared/kube/installation.ts'
import { CONFIG_MAPS, type ObjectName } from '#shared/kube/objects.ts'
import type { Log } from '#shared/log.ts'
import type { Watch } from '#shared/watch.ts'
import type { Authority } from './authority.ts'

export interface BundlePublisherOptions {
  readonly client: Pick<KubeClient, 'apply' | 'get' | 'remove'>
  readonly authority: Watch<Authority>
  /** All namespaces: true where sidecars are to be, false elsewhere. Those that are being deleted are left out. */
  readonly namespaces: Watch<ReadonlyMap<string, boolean>>
  /** Whether pods with sidecars are left in a namespace where none are to be. */
  readonly hasSidecars: (namespace: string) => Promise<boolean>
  readonly clock: Clock
  readonly log: Log
}

export interface BundlePublisher {
  close(): void
}

const RETRY_MS = 5_000
/** Puts back what somebody has changed, and takes away what nobody needs any more. */
const REPEAT_MS = 5 * 60_000
const AT_ONCE = 8

export function publishBundle(options: BundlePublisherOptions): BundlePublisher {
  const publisher = new Publisher(options)
  publisher.start()
  return publisher
}

class Publisher implements BundlePublisher {
  readonly #options: BundlePublisherOptions
  readonly #owners: Owners
  /** By namespace, the bundle that is there as far as we know; empty text: none. */
  #done = new Map<string, string>()
  #isClosed = false
  #isWorking = false
  #isStale = false
  #cancel = () => {}
  #stops: readonly (() => void)[] = []

  constructor(options: BundlePublisherOptions) {
    this.#options = options
    this.#owners = createOwners(options.client)
  }

  start(): void {
    const { authority, namespaces } = this.#options
    this.#stops = [authority.subscribe(() => void this.#work()), namespaces.subscribe(() => void this.#work())]
    void this.#work()
  }

  close(): void {
    this.#isClosed = true
    this.#cancel()
    for (const stop of this.#stops) stop()
  }

  /** One round at a time; what changes meanwhile makes another. */
  async #work(): Promise<void> {
    this.#isStale = true
    if (this.#isWorking) return
    this.#isWorking = true
    let failures = 0
    while (this.#isStale && !this.#isClosed) {
      this.#isStale = false
      failures = await this.#round()
    }
    this.#isWorking = false
    if (!this.#isClosed) this.#again(failures)
  }

  #again(failures: number): void {
    const { clock } = this.#options
    this.#cancel()
    if (failures > 0) this.#cancel = clock.after(RETRY_MS, () => void this.#work())
    else {
      this.#cancel = clock.after(REPEAT_MS, () => {
        this.#done = new Map()
        void this.#work()
      })
    }
  }

  async #round(): Promise<number> {
    const known = this.#options.namespaces.current
    for (const namespace of this.#done.keys()) if (!known.has(namespace)) this.#done.delete(namespace)
    const waiting = [...known]
    let failures = 0
    const worker = async () => {
      for (let next = waiting.shift(); next !== undefined && !this.#isClosed; next = waiting.shift()) {
        const [namespace, isWanted] = next
        try {
          await this.#settle(namespace, isWanted)
        } catch (error) {
          failures++
          const reason = error instanceof Error ? error.message : String(error)
          this.#options.log.warn({ namespace, reason }, 'the trust bundle could not be published; trying again')
        }
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
    return failures
  }

  async #settle(namespace: string, isWanted: boolean): Promise<void> {
    const { client, hasSidecars, log } = this.#options
    const { bundle } = this.#options.authority.current
    const done = this.#done.get(namespace)
    if (done === (isWanted ? bundle : '')) return
    const place: ObjectName = { namespace, name: TRUST_BUNDLE.configMap }
    const isThere = isWanted || (await this.#isOurs(place))
    if (isThere && (isWanted || (await hasSidecars(namespace)))) {
      await client.apply(CONFIG_MAPS, configMap(place, bundle, await this.#owners()), { fieldManager: 'weft-certs' })
      this.#done.set(namespace, bundle)
      log.debug({ namespace }, 'the trust bundle is published')
      return
    }
    if (isThere) {
      await client.remove(CONFIG_MAPS, place)
      log.info({ namespace }, 'the trust bundle was removed: no sidecars are left there')
    }
    this.#done.set(namespace, '')
  }

  async #isOurs(place: ObjectName): Promise<boolean> {
    try {
      const { metadata } = await this.#options.client.get(CONFIG_MAPS, place)
      return Object.entries(MANAGED_BY).every(([label, value]) => metadata.labels?.[label] === value)
    } catch (error) {
      if (isNotFound(error)) return false
      throw error
    }
  }
}

function configMap(place: ObjectName, bundle: string, ownerReferences: readonly OwnerReference[]) {
  return { metadata: { ...place, labels: MANAGED_BY, ownerReferences }, data: { [TRUST_BUNDLE.key]: bundle } }
}
