// What the replicas of control have told of their sidecars, so that one of them can count those of the whole mesh. A sidecar that
// moves from one to another is counted once, and for a time also while it is under way: else every update of control would look like
// a mesh that shrinks and grows again.
import type { Clock } from '#shared/clock.ts'
import type { ReplicaReport, SidecarState } from '#shared/contract/replicas.ts'
import { type ObjectStanding, standingsOf } from '../serve/standings.ts'

export interface Ledger {
  /** Begins anew for a replica: what it told before lingers. */
  open(replica: string): LedgerEntry
  standings(): readonly ObjectStanding[]
  /** Of the replicas that should report those that have not, or that have compiled another generation of the object. */
  missing(expected: Iterable<string>, object: string, generation: number): readonly string[]
  /** Forgets everything: this replica no longer counts. */
  clear(): void
}

export interface LedgerEntry {
  take(report: ReplicaReport): void
  /** Its sidecars are on their way to other replicas, or gone. */
  close(): void
}

/** Longer than the 10 s within which a sidecar comes back, and than the report of where it came to takes. */
export const LINGER_MS = 15_000

export function createLedger(clock: Clock): Ledger {
  return new ReportLedger(clock)
}

interface Account {
  readonly sidecars: Map<string, SidecarState>
  readonly compiled: Map<string, number>
  isWhole: boolean
}

interface Lingering {
  readonly state: SidecarState
  readonly until: number
}

class ReportLedger implements Ledger {
  readonly #clock: Clock
  readonly #accounts = new Map<string, Account>()
  readonly #lingering = new Map<string, Lingering>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  open(replica: string): LedgerEntry {
    this.#drop(replica, this.#accounts.get(replica))
    const account: Account = { sidecars: new Map(), compiled: new Map(), isWhole: false }
    this.#accounts.set(replica, account)
    return { take: (report) => this.#take(account, report), close: () => this.#drop(replica, account) }
  }

  clear(): void {
    this.#accounts.clear()
    this.#lingering.clear()
  }

  standings(): readonly ObjectStanding[] {
    return standingsOf(this.#newest().values())
  }

  missing(expected: Iterable<string>, object: string, generation: number): readonly string[] {
    const names = new Set([...expected, ...this.#accounts.keys()])
    return [...names]
      .filter((name) => {
        const account = this.#accounts.get(name)
        return account?.isWhole !== true || account.compiled.get(object) !== generation
      })
      .sort()
  }

  #take(account: Account, { changed, gone, compiled, forgotten, isWhole }: ReplicaReport): void {
    for (const state of changed) account.sidecars.set(state.pod, state)
    for (const pod of gone) {
      this.#linger(account.sidecars.get(pod))
      account.sidecars.delete(pod)
    }
    for (const { object, generation } of compiled) account.compiled.set(object, generation)
    for (const object of forgotten) account.compiled.delete(object)
    if (isWhole) account.isWhole = true
  }

  /** Does nothing when the replica has begun anew meanwhile. */
  #drop(replica: string, account: Account | undefined): void {
    if (account === undefined || this.#accounts.get(replica) !== account) return
    this.#accounts.delete(replica)
    for (const state of account.sidecars.values()) this.#linger(state)
  }

  #linger(state: SidecarState | undefined): void {
    if (state !== undefined) this.#lingering.set(state.pod, { state, until: this.#clock.now() + LINGER_MS })
  }

  /** One state a pod: that of its newest stream; what lingers counts only for who is nowhere else. */
  #newest(): ReadonlyMap<string, SidecarState> {
    const newest = new Map<string, SidecarState>()
    for (const { sidecars } of this.#accounts.values()) {
      for (const state of sidecars.values()) {
        // One that has just come says a moment later what it holds; until then what it held elsewhere counts.
        if (state.objects.length === 0) continue
        const other = newest.get(state.pod)
        if (other === undefined || other.openedAtMs <= state.openedAtMs) newest.set(state.pod, state)
      }
    }
    const now = this.#clock.now()
    for (const [pod, { state, until }] of this.#lingering) {
      if (until <= now || newest.has(pod)) this.#lingering.delete(pod)
      else newest.set(pod, state)
    }
    return newest
  }
}
