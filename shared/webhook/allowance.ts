// How much of a thread reviews may take. What they take beyond a burst they wait for: where the thread has other work, whoever
// reaches the port must not stop that.

export interface AllowanceOptions {
  /** Of the time that passes: 0.25. */
  readonly share: number
  readonly burstMs: number
}

export interface Allowance {
  isUsedUp(): boolean
  /** Runs what takes the time. */
  charge<T>(work: () => T): T
}

export function createAllowance({ share, burstMs }: AllowanceOptions, now: () => number): Allowance {
  let [owed, seenAt] = [0, now()]
  const settle = () => {
    const at = now()
    owed = Math.max(0, owed - (at - seenAt) * share)
    seenAt = at
  }
  return {
    isUsedUp() {
      settle()
      return owed >= burstMs
    },
    charge(work) {
      const startedAt = now()
      try {
        return work()
      } finally {
        owed += now() - startedAt
      }
    },
  }
}
