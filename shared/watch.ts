// A value that changes at run time. Readers hold a Watch, the sole writer holds the Watched.

export interface Watch<T> {
  readonly current: T
  /** Calls the listener on each change, not for the current value. Returns the way to stop. */
  subscribe(listener: (next: T) => void): () => void
}

export class Watched<T> implements Watch<T> {
  #current: T
  readonly #listeners = new Set<(next: T) => void>()

  constructor(initial: T) {
    this.#current = initial
  }

  get current(): T {
    return this.#current
  }

  set(next: T): void {
    if (Object.is(next, this.#current)) return
    this.#current = next
    for (const listener of [...this.#listeners]) listener(next)
  }

  subscribe(listener: (next: T) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}

/** Resolves with the first value that passes, now or later. */
export function until<T, S extends T>(
  watch: Watch<T>,
  test: (value: T) => value is S,
  signal: AbortSignal,
): Promise<S> {
  return new Promise((resolve, reject) => {
    if (test(watch.current)) return resolve(watch.current)
    if (signal.aborted) return reject(signal.reason)
    const onAbort = () => {
      stop()
      reject(signal.reason)
    }
    const stop = watch.subscribe((value) => {
      if (!test(value)) return
      stop()
      signal.removeEventListener('abort', onAbort)
      resolve(value)
    })
    signal.addEventListener('abort', onAbort, { once: true })
  })
}
