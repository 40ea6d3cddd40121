// Times of spans: durations from the monotonic clock, so that a child never begins before its parent, laid on the wall
// clock by one anchor. The anchor moves only when the wall clock was set.
import type { HrTime } from '@opentelemetry/api'
import type { Clock } from '#shared/clock.ts'

export interface SpanClock {
  /** Of a Clock.now(), as seconds and nanoseconds since 1970. */
  at(monotonicMs: number): HrTime
  now(): HrTime
}

const TOLERANCE_MS = 50

export function createSpanClock(clock: Clock): SpanClock {
  let anchor = clock.wall() - clock.now()

  function at(monotonicMs: number): HrTime {
    const epochMs = anchor + monotonicMs
    const seconds = Math.floor(epochMs / 1000)
    return [seconds, Math.min(999_999_999, Math.round((epochMs - seconds * 1000) * 1e6))]
  }

  return {
    at,
    now() {
      const monotonicMs = clock.now()
      const offset = clock.wall() - monotonicMs
      if (Math.abs(offset - anchor) > TOLERANCE_MS) anchor = offset
      return at(monotonicMs)
    },
  }
}
