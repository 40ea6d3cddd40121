// Waiting for something that another process does: asked again and again until a deadline.
import { setTimeout as sleep } from 'node:timers/promises'

const INTERVAL_MS = 100

/** The first answer that passes, or the last one when the time is up. */
export async function eventually<T>(
  ask: () => Promise<T>,
  passes: (answer: T) => boolean,
  limitMs = 10_000,
): Promise<T> {
  const deadline = performance.now() + limitMs
  for (;;) {
    const answer = await ask()
    if (passes(answer) || performance.now() >= deadline) return answer
    await sleep(INTERVAL_MS)
  }
}
