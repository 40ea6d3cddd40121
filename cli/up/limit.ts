// Lets so many tasks run at once; the others wait in the order in which they came.

export type Limit = <T>(task: () => Promise<T>) => Promise<T>

export function createLimit(atOnce: number): Limit {
  const waiting: (() => void)[] = []
  let free = atOnce
  return async (task) => {
    if (free > 0) free--
    else await new Promise<void>((go) => waiting.push(go))
    try {
      return await task()
    } finally {
      const next = waiting.shift()
      if (next === undefined) free++
      else next()
    }
  }
}
