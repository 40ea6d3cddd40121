// How many retries a service may cost: a share of its requests, and a few in any case so that a quiet service has some.
// Counted over the last ten seconds, since requests that are in flight at one instant are too few to take a share of.
import type { Clock } from '#shared/clock.ts'

export interface RetryBudget {
  onRequest(): void
  onRequestEnd(): void
  /** Takes one retry, if there is one left. */
  take(): boolean
}

export interface RetryBudgetConfig {
  /** Retries for each hundred requests that are in flight or began in the window. */
  readonly percent: number
  /** Retries that are always allowed, as a mean over the window: ten seconds' worth may come at once. */
  readonly minPerSecond: number
}

const WINDOW_SECONDS = 10

export function createRetryBudget(config: RetryBudgetConfig, clock: Clock): RetryBudget {
  const requests = createWindow()
  const retries = createWindow()
  let inFlight = 0
  return {
    onRequest() {
      inFlight++
      requests.add(secondOf(clock))
    },
    onRequestEnd() {
      inFlight--
    },
    take() {
      const second = secondOf(clock)
      const active = Math.max(inFlight, requests.count(second))
      const allowed = Math.max((active * config.percent) / 100, config.minPerSecond * WINDOW_SECONDS)
      if (retries.count(second) + 1 > allowed) return false
      retries.add(second)
      return true
    },
  }
}

const secondOf = (clock: Clock): number => Math.floor(clock.now() / 1000)

interface Window {
  add(second: number): void
  count(second: number): number
}

/** One counter for each second of the window, emptied as time passes it. */
function createWindow(): Window {
  const counts = new Float64Array(WINDOW_SECONDS)
  let latest = 0
  let total = 0
  const moveTo = (second: number) => {
    const steps = Math.min(second - latest, WINDOW_SECONDS)
    for (let i = 1; i <= steps; i++) {
      const index = (latest + i) % WINDOW_SECONDS
      total -= counts[index] as number
      counts[index] = 0
    }
    latest = Math.max(latest, second)
  }
  return {
    add(second) {
      if (second > latest) moveTo(second)
      counts[latest % WINDOW_SECONDS] = (counts[latest % WINDOW_SECONDS] as number) + 1
      total++
    },
    count(second) {
      if (second > latest) moveTo(second)
      return total
    },
  }
}
