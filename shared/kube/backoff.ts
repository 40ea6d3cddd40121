// How long to wait before the next try: doubles with each failure, half of it random, so that replicas do not come together.

export interface Backoff {
  next(): number
  reset(): void
}

export function createBackoff(firstMs: number, mostMs: number, random: () => number): Backoff {
  let failures = 0
  return {
    next() {
      const whole = Math.min(mostMs, firstMs * 2 ** failures)
      if (whole < mostMs) failures++
      return whole / 2 + (random() * whole) / 2
    },
    reset() {
      failures = 0
    },
  }
}
