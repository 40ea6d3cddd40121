// Wraps a path: times the connection, ends its socket when a step fails, and emits the one event of its end.

import type { Accepted, Direction } from '#flow/connection.ts'
import { FlowError } from '#flow/error.ts'
import type { ConnectionEnded, Sink } from '#flow/event.ts'
import type { Handler } from '#flow/layer.ts'
import { resetSocket } from '#flow/reset.ts'
import { type Address, canonicalHost } from '#shared/address.ts'
import type { Clock } from '#shared/clock.ts'

/** What a path knows of a connection when it is over. */
export type Ending = Partial<
  Pick<
    ConnectionEnded,
    'protocol' | 'destination' | 'service' | 'endpoint' | 'peer' | 'bytesSent' | 'bytesReceived' | 'reason'
  >
>

export interface AccountParts {
  readonly emit: Sink
  readonly clock: Clock
  readonly onOpen: (direction: Direction) => void
  /** A failure that no step foresaw. */
  readonly onBug: (error: unknown) => void
}

export function accountFor(parts: AccountParts, handler: Handler<Accepted, Ending>): Handler<Accepted, void> {
  return async (accepted) => {
    const { socket, direction } = accepted
    const { clock } = parts
    const source = addressOf(socket.remoteAddress, socket.remotePort)
    const startedAt = clock.wall()
    const begun = clock.now()
    parts.onOpen(direction)
    let ending: Ending
    try {
      ending = await handler(accepted)
    } catch (error) {
      if (!(error instanceof FlowError)) parts.onBug(error)
      ending = { reason: error instanceof FlowError ? error.code : 'INTERNAL' }
      resetSocket(socket)
    }
    parts.emit({
      ...EMPTY,
      ...ending,
      kind: 'connection',
      direction,
      source,
      startedAt,
      durationMs: clock.now() - begun,
    })
  }
}

const EMPTY = {
  protocol: null,
  destination: null,
  service: null,
  endpoint: null,
  peer: null,
  bytesSent: 0,
  bytesReceived: 0,
  reason: null,
} satisfies Ending

export function addressOf(host: string | undefined, port: number | undefined): Address | null {
  return host === undefined || port === undefined ? null : { host: canonicalHost(host), port }
}
