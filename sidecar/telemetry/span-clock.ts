// Times of spans: durations from the monotonic clock, so that a child never begins before its parent, laid on the wall
// clock by one anchor. The wall clock counts whole milliseconds and the process may rest between two readings, so a reading can
// only be behind: the anchor follows the one that is furthest ahead, and goes back only when the wall clock was set.
import type { HrTime } from '@opentelemetry/api'
import type { Clock } from '#shared/clock.ts'

export interface SpanClock {
  /** Of a Clock.now(), as seconds and nanoseconds since 1970. */
  at(monotonicMs: number): HrTime
  now(): HrTime
}

const TOLERANCE_MS = 50
/** One alone may have been interrupted, and the first span would begin too early. */
const FIRST_READINGS = 5

export function createSpanClock(clock: Clock): SpanClock {
  let anchor = Math.max(...Array.from({ length: FIRST_READINGS }, () => offsetOf(clock)))

  function at(monotonicMs: number): HrTime {
    const epochMs = anchor + monotonicMs
    const seconds = Math.floor(epochMs / 1000)
    return [seconds, Math.min(999_999_999, Math.round((epochMs - seconds * 1000) * 1e6))]
  }

  return {
    at,
    now() {
      const offset = offsetOf(clock)
      if (offset > anchor || offset < anchor - TOLERANCE_MS) anchor = offset
      return at(clock.now())
    },
  }
}

/** The wall clock first: what passes between the two readings makes it smaller, never larger. */
function offsetOf(clock: Clock): number {
  const wall = clock.wall()
  return wall - clock.now()
}
