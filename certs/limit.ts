// How often one address may ask: a bucket per source that refills with time. Guessing tokens and asking in a loop both end here.
import type { Clock } from '#shared/clock.ts'

export interface SourceLimit {
  /** False: too often, try later. */
  admit(source: string): boolean
}

interface Bucket {
  tokens: number
  filledAt: number
}

const BURST = 20
const PER_SECOND = 1
/** The one seen longest ago makes room; an attacker needs that many addresses to be forgotten. */
const MOST_SOURCES = 16_384

export function createSourceLimit(clock: Clock): SourceLimit {
  const buckets = new Map<string, Bucket>()
  return {
    admit(source) {
      const now = clock.now()
      const bucket = buckets.get(source) ?? { tokens: BURST, filledAt: now }
      buckets.delete(source)
      buckets.set(source, bucket)
      if (buckets.size > MOST_SOURCES) dropOldest(buckets)
      bucket.tokens = Math.min(BURST, bucket.tokens + ((now - bucket.filledAt) / 1000) * PER_SECOND)
      bucket.filledAt = now
      if (bucket.tokens < 1) return false
      bucket.tokens--
      return true
    },
  }
}

function dropOldest(buckets: Map<string, Bucket>): void {
  for (const source of buckets.keys()) {
    buckets.delete(source)
    return
  }
}
