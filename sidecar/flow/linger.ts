// Closing without losing our last words: a socket closed over unread bytes sends a reset, and a reset can overtake the answer.
import type { Duplex } from 'node:stream'
import type { Clock } from '#shared/clock.ts'

/** After our last byte the peer has this long to read it and close, while what it still sends is thrown away. */
export const LINGER_MS = 5_000

/**
 * Ends our side and lets the peer read on while what it sends is thrown away by the caller. The time runs once the kernel has
 * all our bytes: a slow reader of a long answer is never cut. Returns the way to cancel.
 */
export function lingerThenDestroy(stream: Duplex, clock: Clock): () => void {
  let cancel = () => {}
  const wait = () => {
    cancel = clock.after(LINGER_MS, () => stream.destroy())
  }
  if (stream.writableFinished) wait()
  else stream.once('finish', wait)
  return () => {
    stream.off('finish', wait)
    cancel()
  }
}
