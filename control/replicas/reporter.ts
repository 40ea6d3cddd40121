// Tells the replica that holds the Lease what the sidecars of this one have in force, and follows the Lease when it moves.
import type { Clock } from '#shared/clock.ts'
import type { SvidIdentity } from '#shared/identity/svid.ts'
import type { LeaseHolder } from '#shared/kube/leader.ts'
import type { Log } from '#shared/log.ts'
import type { Watch } from '#shared/watch.ts'
import { createDifferences, type Standing } from './differences.ts'
import { openReportLink, type ReportLink } from './link.ts'

export interface ReporterOptions {
  readonly replica: string
  readonly holder: Watch<LeaseHolder | null>
  readonly identity: Watch<SvidIdentity | undefined>
  standing(): Standing
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
}

/** Shorter than the moment that the writer gives sidecars to take up a change. */
const TELL_MS = 400
const FIRST_RETRY_MS = 500
const LONGEST_RETRY_MS = 5_000

export function startReporter(options: ReporterOptions): { close(): void } {
  const reporter = new Reporter(options)
  reporter.begin()
  const stop = options.holder.subscribe(() => reporter.begin())
  return {
    close() {
      stop()
      reporter.close()
    },
  }
}

class Reporter {
  readonly #options: ReporterOptions
  #link: ReportLink | null = null
  #differences: ReturnType<typeof createDifferences> | null = null
  #failures = 0
  #cancel = () => {}
  #isClosed = false

  constructor(options: ReporterOptions) {
    this.#options = options
  }

  /** The holder is another, or the same at another address. */
  begin(): void {
    this.#failures = 0
    this.#link?.close()
    this.#link = null
    this.#cancel()
    const { holder, replica, log } = this.#options
    const isOther = holder.current !== null && holder.current.identity !== replica
    if (!isOther || this.#isClosed) return
    if (holder.current.address !== '') return this.#open(holder.current.address)
    log.warn({ holder: holder.current.identity }, 'the Lease does not say where its holder is: it is told nothing')
  }

  close(): void {
    this.#isClosed = true
    this.begin()
  }

  #open(address: string): void {
    const { identity, replica, clock, log } = this.#options
    try {
      if (identity.current === undefined) throw new Error('there is no certificate yet')
      this.#differences = createDifferences(replica)
      const onEnd = (error: Error) => this.#retry(address, error)
      this.#link = openReportLink({ address, identity: identity.current, clock, onEnd })
      this.#tellLater()
    } catch (error) {
      log.error({ err: error }, 'the holder of the Lease cannot be asked')
      this.#retry(address, new Error('no link', { cause: error }))
    }
  }

  #retry(address: string, error: Error): void {
    const { clock, random, log } = this.#options
    this.#link = null
    this.#cancel()
    const limit = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures++)
    log.info({ reason: error.message, limitMs: limit }, 'the holder of the Lease takes no reports; trying again')
    this.#cancel = clock.after(limit / 2 + (random() * limit) / 2, () => this.#open(address))
  }

  #tellLater(): void {
    this.#cancel()
    this.#cancel = this.#options.clock.after(TELL_MS, () => {
      this.#tell()
      this.#tellLater()
    })
  }

  /** While the stream is full nothing is computed: the next time tells what is then true. */
  #tell(): void {
    if (this.#link?.isReady() !== true || this.#differences === null) return
    this.#failures = 0
    for (const report of this.#differences(this.#options.standing())) this.#link.send(report)
  }
}
