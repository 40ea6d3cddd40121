// An exchange that has ended, as the event that metrics and logs read.
import type { RequestEnded } from '#flow/event.ts'
import type { Exchange } from '#flow/exchange.ts'
import { fieldValue } from '#flow/fields.ts'

export function requestEnded(
  exchange: Exchange & { readonly startedAtWall: number; readonly context: { readonly clock: { now(): number } } },
): RequestEnded {
  const last = exchange.attempts.at(-1)
  const rule = exchange.decision.rule
  const { facts } = exchange
  return {
    kind: 'request',
    direction: exchange.direction,
    method: facts.method,
    authority: facts.authority,
    path: facts.path,
    route: rule === null ? null : `${rule.route.namespace}/${rule.route.name}`,
    service: exchange.service,
    destination: exchange.destination,
    source: exchange.source,
    endpoint: last?.lease.endpoint.address ?? null,
    peer: exchange.direction === 'inbound' ? exchange.peer : (last?.lease.endpoint.identity ?? null),
    startedAt: exchange.startedAtWall,
    durationMs: exchange.context.clock.now() - exchange.startedAt,
    status: exchange.status,
    requestBytes: exchange.requestBytes,
    responseBytes: exchange.responseBytes,
    attempts: exchange.attempts.length,
    reason: exchange.reason,
    detail: exchange.detail,
    version: exchange.version,
    grpcStatus: exchange.grpcStatus,
    userAgent: fieldValue(exchange.request, 'user-agent') ?? null,
    traceId: exchange.span?.spanContext().traceId ?? null,
  }
}
