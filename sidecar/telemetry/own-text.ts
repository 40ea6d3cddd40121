// Texts of a head are slices of it, and V8 keeps all of a text alive for the sake of a slice: a span that waits for its
// collector would hold 60 KiB for a user agent of 20 characters. What a span keeps is therefore copied, and cut.
import type { SpanContext } from '@opentelemetry/api'

const MOST_CHARACTERS = 1024
/** What the W3C asks to pass on at least (section 3.3.1.5); a longer one stays out of the span, never out of the request. */
const MOST_STATE_CHARACTERS = 512

/** `text` is Latin-1, as all fields are. */
export function ownText(text: string): string {
  return Buffer.from(text.slice(0, MOST_CHARACTERS), 'latin1').toString('latin1')
}

export function ownContext({ traceState, ...context }: SpanContext): SpanContext {
  const own = { ...context, traceId: ownText(context.traceId), spanId: ownText(context.spanId) }
  const text = traceState?.serialize() ?? ''
  if (traceState === undefined || text.length > MOST_STATE_CHARACTERS) return own
  const state = ownText(text)
  return { ...own, traceState: { ...traceState, serialize: () => state } }
}
