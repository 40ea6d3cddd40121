// Hands each event to every sink. A sink is an onlooker: when one throws, the others and the traffic go on.
import type { Sink } from '#flow/event.ts'
import type { Log } from '#shared/log.ts'
import { createEvery } from './every.ts'

/** The returned sink never throws. A failing sink is logged at most once a minute. */
export function fanOut(sinks: readonly Sink[], log: Log, now: () => number): Sink {
  const isTimeToTell = createEvery(60_000, now)
  return (event) => {
    for (const sink of sinks) {
      try {
        sink(event)
      } catch (cause) {
        if (isTimeToTell()) log.error({ err: cause }, 'a telemetry sink failed')
      }
    }
  }
}
