// Requests that are opened only to be reset (CVE-2023-44487, CVE-2025-8671), counted where they come from: at the connection of
// whoever resets, before they reach one that others share. What is honest does not count: a request that lived for a second (a long
// poll that is given up), and as many as were answered in full (what loses a race that another has won).
import type { Clock } from '#shared/clock.ts'
import { type Allowance, Bucket } from './bucket.ts'
import { flood } from './faults.ts'

/**
 * What too many lead to. end: the connection of a stranger ends. slow: that of an application is read more slowly, and ends when that
 * did not help for 10 seconds. postpone: on that of a peer, which carries the requests of many, nobody is held up: each new request
 * only begins a moment later, so that what is reset at once never does.
 */
export type ManyResets = 'end' | 'slow' | 'postpone'

const ALLOWANCES: Readonly<Record<ManyResets, Allowance>> = {
  end: { burst: 400, perSecond: 100 },
  slow: { burst: 1000, perSecond: 500 },
  postpone: { burst: 4000, perSecond: 2000 },
}
/** Of all connections from one address, each of which may have been opened anew: below what a peer lets pass. */
const SOURCE: Allowance = { burst: 2000, perSecond: 1000 }
/** While its address is over, a connection that resets no more than this is not to blame. */
const BLAMELESS: Allowance = { burst: 10, perSecond: 10 }
/** How often a connection may be slowed: for 10 seconds on end. */
const SLOWED: Allowance = { burst: 100, perSecond: 1 }
const LONG_LIVED_MS = 1000
const MOST_SOURCES = 4096
export const SLOWED_MS = 100

/** The counts of the addresses that connections come from. */
export class ResetSources {
  readonly #clock: Clock
  readonly #sources = new Map<string, Bucket>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  of(host: string): Bucket {
    const source = this.#sources.get(host) ?? new Bucket(SOURCE, this.#clock)
    // The one used last stands last.
    this.#sources.delete(host)
    this.#sources.set(host, source)
    if (this.#sources.size > MOST_SOURCES) this.#dropOldest()
    return source
  }

  #dropOldest(): void {
    for (const host of this.#sources.keys()) {
      this.#sources.delete(host)
      return
    }
  }
}

export class Resets {
  readonly #leadTo: ManyResets
  readonly #clock: Clock
  readonly #own: Bucket
  readonly #source: Bucket | null
  readonly #blameless: Bucket
  readonly #slowed: Bucket

  constructor(leadTo: ManyResets, source: Bucket | null, clock: Clock) {
    this.#leadTo = leadTo
    this.#clock = clock
    this.#own = new Bucket(ALLOWANCES[leadTo], clock)
    this.#source = source
    this.#blameless = new Bucket(BLAMELESS, clock)
    this.#slowed = new Bucket(SLOWED, clock)
    // Who is over comes again on a new connection.
    if (source?.isOver === true) this.#blameless.fill()
  }

  /** A request ended before its answer because of the client. Returns whether to slow down; throws ConnectionFault. */
  count(bornAt: number): boolean {
    if (this.#clock.now() - bornAt >= LONG_LIVED_MS) return false
    const isOwnOver = this.#own.add()
    const isToBlame = this.#blameless.add()
    const isSourceOver = this.#source?.add() === true
    if (this.#leadTo === 'postpone') return false
    if (isOwnOver && this.#leadTo === 'end') throw flood('requests are opened only to be reset')
    if (!isOwnOver && !(isSourceOver && isToBlame)) return false
    if (this.#slowed.add()) throw flood('requests are opened only to be reset, and slowing did not help')
    return true
  }

  onAnswered(): void {
    this.#own.pay(1)
    this.#source?.pay(1)
  }

  /** New requests are to be postponed. */
  get isPostponing(): boolean {
    return this.#leadTo === 'postpone' && this.#own.isOver
  }
}
