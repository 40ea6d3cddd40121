// Says in the log, once a day, that the root nears its end: an expired root stops the whole mesh at once.
import type { Clock } from '#shared/clock.ts'
import type { Log } from '#shared/log.ts'
import type { Watch } from '#shared/watch.ts'
import type { Authority } from './authority.ts'

const DAY_MS = 24 * 3600 * 1000
const WARN_BEFORE_MS = 30 * DAY_MS

export function warnOfExpiry(authority: Watch<Authority>, clock: Clock, log: Log): () => void {
  let cancel = () => {}
  function look(): void {
    const { endsAt } = authority.current
    const daysLeft = Math.floor((endsAt.getTime() - clock.wall()) / DAY_MS)
    if (endsAt.getTime() - clock.wall() < WARN_BEFORE_MS) {
      log.warn({ endsAt, daysLeft }, 'the root ends soon: replace it, see docs/identity.md')
    }
    cancel = clock.after(DAY_MS, look)
  }
  look()
  return () => cancel()
}
