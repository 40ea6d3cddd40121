// How a webhook leaves: it says so, goes on answering until everyone who sends reviews has heard it, and only then closes. An API
// server that still had its address would refuse pods meanwhile (failurePolicy: Fail).
import type { Clock } from '#shared/clock.ts'
import type { ReviewServer } from './server.ts'

export interface DrainOptions {
  readonly clock: Clock
  /** From the end of readiness on: EndpointSlices and the proxies of all nodes take a moment. */
  readonly delayMs: number
  /** For the reviews that run when it closes. */
  readonly limitMs: number
}

/** Resolves when nothing is open any more. */
export async function drainWebhook(
  webhook: Pick<ReviewServer, 'drain' | 'close'>,
  { clock, delayMs, limitMs }: DrainOptions,
): Promise<void> {
  webhook.drain()
  await new Promise<void>((resolve) => {
    clock.after(delayMs, resolve)
  })
  await webhook.close(limitMs)
}
