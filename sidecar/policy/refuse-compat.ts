// For ports of the Compat engine: what http2-proxy would forward as something else than it was is answered before it gets there.
import type { Step } from '#flow/exchange.ts'
import { fieldValue } from '#flow/fields.ts'

/** http2-proxy throws their body away and forwards its length. */
const BODYLESS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

export const refuseCompat: Step = {
  name: 'refuse-compat',
  onRequest(exchange) {
    const { request, facts } = exchange
    // It needs HTTP/2 and its trailers at the application.
    const isGrpc = fieldValue(request, 'content-type')?.toLowerCase().startsWith('application/grpc') === true
    if (isGrpc) exchange.fail('COMPAT_GRPC')
    else if (exchange.hasBody && BODYLESS.has(facts.method)) exchange.fail('COMPAT_BODY')
    else return 'continue'
    return 'answered'
  },
}
