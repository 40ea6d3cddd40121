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
const RETRY_MS = 1_000

export function startReporter(options: ReporterOptions): { close(): void } {
  const reporter = new Reporter(options)
  reporter.follow()
  const stop = options.holder.subscribe(() => reporter.follow())
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
  #cancel = () => {}
  #isClosed = false

  constructor(options: ReporterOptions) {
    this.#options = options
  }

  /** The holder is another, or the same at another address. */
  follow(): void {
    this.#link?.close()
    this.#link = null
    this.#cancel()
    const { holder, identity, replica, clock, log } = this.#options
    if (this.#isClosed || holder.current === null || holder.current.identity === replica) return
    const { address, identity: leader } = holder.current
    if (address === '' || identity.current === undefined) {
      log.warn(
        { leader },
        address === '' ? 'the Lease does not say where its holder is' : 'no certificate to report with',
      )
      return this.#retry()
    }
    try {
      this.#differences = createDifferences(replica)
      this.#link = openReportLink({ address, identity: identity.current, clock, onEnd: (error) => this.#ended(error) })
      this.#tellLater()
    } catch (error) {
      log.error({ err: error }, 'this identity cannot be used to reach the other replica')
      this.#retry()
    }
  }

  close(): void {
    this.#isClosed = true
    this.follow()
  }

  #ended(error: Error): void {
    this.#link = null
    this.#options.log.info({ reason: error.message }, 'the holder of the Lease takes no reports; trying again')
    this.#retry()
  }

  #retry(): void {
    const { clock, random } = this.#options
    this.#cancel()
    this.#cancel = clock.after(RETRY_MS * (0.5 + random() / 2), () => this.follow())
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
    for (const report of this.#differences(this.#options.standing())) this.#link.send(report)
  }
}
