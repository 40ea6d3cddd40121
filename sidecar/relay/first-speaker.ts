// A client is silent: the server has been dialled, and whoever speaks first decides what the connection is.
import type { Duplex } from 'node:stream'

export interface Listening<T> {
  readonly verdict: T | null
  readonly head: Buffer
  readonly isEnded: boolean
}

export type FirstSpeaker<T> = { readonly who: 'server' } | { readonly who: 'client'; readonly heard: Listening<T> }

/** Waits for as long as both are silent. `listen` is a peek at the client that can be called off. */
export async function firstSpeaker<T>(
  server: Duplex,
  listen: (signal: AbortSignal) => Promise<Listening<T>>,
): Promise<FirstSpeaker<T>> {
  const callOff = new AbortController()
  const serverSpoke = new Promise<'server'>((resolve) => {
    const done = () => {
      for (const event of ['readable', 'end', 'close', 'error']) server.off(event, done)
      resolve('server')
    }
    for (const event of ['readable', 'end', 'close', 'error']) server.on(event, done)
    if (server.destroyed || server.readableLength > 0) done()
  })
  const heard = listen(callOff.signal)
  const first = await Promise.race([serverSpoke, heard])
  if (first !== 'server') {
    server.removeAllListeners('readable')
    return { who: 'client', heard: first }
  }
  callOff.abort()
  const late = await heard
  // Both at once: what the client said must not be lost.
  return late.head.length > 0 || late.verdict !== null ? { who: 'client', heard: late } : { who: 'server' }
}
