// Keeps a workload's SVID fresh: asks certs, renews at two thirds of the lifetime, keeps the old one in force meanwhile,
// and follows the trust bundle. The sidecar and control both live by it.
import type { Clock } from '#shared/clock.ts'
import type { Log } from '#shared/log.ts'
import { type Watch, Watched } from '#shared/watch.ts'
import { watchBundleFile } from './bundle-file.ts'
import type { SpiffeId } from './spiffe-id.ts'
import type { SvidIdentity } from './svid.ts'
import { checkSvid, requestSvid } from './svid-request.ts'
import { loadSvid, saveSvid } from './svid-store.ts'

export interface SvidSourceOptions {
  /** "HOST:PORT" of certs. */
  readonly certsAddress: string
  /** Who certs must prove to be before the token is sent. */
  readonly certsId: SpiffeId
  /** PEM; may appear and change while we run. */
  readonly bundleFile: string
  readonly tokenFile: string
  /** Where key and certificate rest between restarts; null: nowhere. */
  readonly stateDir: string | null
  readonly id: SpiffeId
  readonly log: Log
  readonly clock: Clock
  /** 0 <= random() < 1. */
  readonly random: () => number
}

export interface SvidSource {
  /** undefined until the first certificate is there. An expired one stays until it is replaced. */
  readonly identity: Watch<SvidIdentity | undefined>
  close(): void
}

const RETRY_FIRST_MS = 250
const RETRY_MOST_MS = 10_000
/** Timers stand still while a machine sleeps, and setTimeout holds 24 days at most: so look at the wall clock this often. */
const LOOK_MS = 30_000

export function createSvidSource(options: SvidSourceOptions): SvidSource {
  const source = new RenewingSource(options)
  source.start()
  return source
}

class RenewingSource implements SvidSource {
  readonly identity = new Watched<SvidIdentity | undefined>(undefined)
  readonly #options: SvidSourceOptions
  readonly #bundle: ReturnType<typeof watchBundleFile>
  readonly #closing = new AbortController()
  #cancelTimer = () => {}
  #failures = 0
  #isAsking = false

  constructor(options: SvidSourceOptions) {
    this.#options = options
    this.#bundle = watchBundleFile(options.bundleFile, options.clock, options.log)
  }

  start(): void {
    this.#bundle.roots.subscribe((roots) => {
      if (roots !== undefined) this.#takeRoots(roots)
    })
  }

  close(): void {
    this.#closing.abort()
    this.#cancelTimer()
    this.#bundle.close()
  }

  #takeRoots(roots: string): void {
    const { current } = this.identity
    if (current !== undefined) {
      this.identity.set({ ...current, roots })
      this.#options.log.info('the trust bundle changed')
      // A root that is gone takes our certificate with it: get one from its successor at once.
      if (!this.#isGood(this.identity.current)) this.#renewSoon(0)
    } else if (!this.#restore(roots)) this.#renewSoon(0)
  }

  #restore(roots: string): boolean {
    const { stateDir, id, clock, log } = this.#options
    if (stateDir === null) return false
    try {
      const stored = loadSvid(stateDir)
      if (stored === undefined) return false
      this.#adopt(checkSvid({ ...stored, id, roots, wallMs: clock.wall() }))
      return true
    } catch (error) {
      log.warn({ reason: String(error) }, 'the stored certificate is of no use; asking for another')
      return false
    }
  }

  #isGood(identity: SvidIdentity | undefined): boolean {
    if (identity === undefined) return false
    try {
      checkSvid({ ...identity, wallMs: this.#options.clock.wall() })
      return true
    } catch {
      return false
    }
  }

  #adopt(identity: SvidIdentity): void {
    const { clock, random, log } = this.#options
    this.#failures = 0
    this.identity.set(identity)
    const lifetimeMs = identity.expiresAt.getTime() - clock.wall()
    const renewAt = clock.wall() + lifetimeMs * (2 / 3) * (0.9 + 0.2 * random())
    log.info({ id: identity.id, expiresAt: identity.expiresAt, renewAt: new Date(renewAt) }, 'certificate in force')
    this.#renewAt(renewAt)
  }

  #renewAt(wallMs: number): void {
    const { clock } = this.#options
    this.#cancelTimer()
    const leftMs = wallMs - clock.wall()
    if (leftMs <= 0) void this.#renew()
    else this.#cancelTimer = clock.after(Math.min(LOOK_MS, leftMs), () => this.#renewAt(wallMs))
  }

  #renewSoon(delayMs: number): void {
    this.#renewAt(this.#options.clock.wall() + delayMs)
  }

  async #renew(): Promise<void> {
    const roots = this.#bundle.roots.current
    if (roots === undefined || this.#isAsking) return
    this.#isAsking = true
    try {
      const { signal } = this.#closing
      const identity = await requestSvid({ ...this.#options, roots, wallMs: this.#options.clock.wall(), signal })
      if (signal.aborted) return
      // The bundle may have changed while certs was asked.
      const latest = this.#bundle.roots.current ?? roots
      const checked = checkSvid({ ...identity, roots: latest, wallMs: this.#options.clock.wall() })
      await this.#keep(checked)
      if (!signal.aborted) this.#adopt(checked)
    } catch (error) {
      this.#retry(error)
    } finally {
      this.#isAsking = false
    }
  }

  async #keep(identity: SvidIdentity): Promise<void> {
    const { stateDir, log } = this.#options
    if (stateDir === null) return
    try {
      await saveSvid(stateDir, identity)
    } catch (error) {
      log.warn(
        { stateDir, reason: String(error) },
        'the certificate could not be stored; a restart will ask for another',
      )
    }
  }

  #retry(error: unknown): void {
    if (this.#closing.signal.aborted) return
    const { random, log } = this.#options
    const most = Math.min(RETRY_MOST_MS, RETRY_FIRST_MS * 2 ** this.#failures++)
    const delayMs = most * (0.5 + 0.5 * random())
    const expiresAt = this.identity.current?.expiresAt ?? null
    log.warn({ reason: String(error), retryInMs: Math.round(delayMs), expiresAt }, 'no certificate from certs')
    this.#renewSoon(delayMs)
  }
}
