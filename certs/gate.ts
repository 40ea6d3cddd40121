// How many questions the API server is asked at once, and how many may wait: a thousand pods that start together are served in turn.

export interface Gate {
  /** Rejects with a GateFull when as many wait as may. */
  run<T>(task: () => Promise<T>): Promise<T>
}

export class GateFull extends Error {
  override readonly name = 'GateFull'
}

export interface GateLimits {
  readonly atOnce: number
  readonly waiting: number
}

export function createGate({ atOnce, waiting }: GateLimits): Gate {
  let running = 0
  const queue: (() => void)[] = []

  /** Whoever leaves hands its place on, so that nobody who comes later is first. */
  function leave(): void {
    const next = queue.shift()
    if (next === undefined) running--
    else next()
  }

  return {
    async run(task) {
      if (running < atOnce) running++
      else if (queue.length >= waiting) throw new GateFull(`${atOnce} at work and ${waiting} waiting`)
      else await new Promise<void>((resolve) => queue.push(resolve))
      try {
        return await task()
      } finally {
        leave()
      }
    },
  }
}
