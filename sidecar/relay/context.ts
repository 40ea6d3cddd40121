// What the requests of one connection have in common: where it was going, who is at its other end, how its requests are routed.
import type { Direction } from '#flow/connection.ts'
import type { FaultCode } from '#flow/error.ts'
import type { Sink } from '#flow/event.ts'
import type { Resolve } from '#flow/route.ts'
import type { Fields } from '#flow/stream.ts'
import type { Address } from '#shared/address.ts'
import type { Clock } from '#shared/clock.ts'
import type { SpiffeId } from '#shared/identity/spiffe-id.ts'

export interface ExchangeContext {
  readonly direction: Direction
  readonly destination: Address
  readonly source: Address | null
  readonly service: string | null
  readonly peer: SpiffeId | null
  /** Another sidecar speaks here, for requests of either version: it tells which. */
  readonly isPeer: boolean
  readonly clock: Clock
  readonly random: () => number
  readonly resolve: Resolve
  readonly emit: Sink
  /** Our own answer for a fault: head fields and body. */
  readonly answer: (code: FaultCode, isGrpc: boolean) => { readonly head: Fields; readonly body: Uint8Array }
}
