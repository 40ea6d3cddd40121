// What a span tells: the names of OpenTelemetry's HTTP semantic conventions (stable since 1.23), and weft.* for the rest.
import { type Span, SpanStatusCode } from '@opentelemetry/api'
import type { FaultCode } from '#flow/error.ts'
import type { Attempt, Exchange } from '#flow/exchange.ts'
import { fieldValue } from '#flow/fields.ts'
import type { SpiffeId } from '#shared/identity/spiffe-id.ts'
import { knownMethod } from './methods.ts'
import { ownText } from './own-text.ts'
import { isRpcError, rpcStatus } from './rpc.ts'

/** `{method} {http.route}`, or `{method}`; never the path, which is unbounded. */
export function serverSpanName(exchange: Exchange): string {
  const method = spanMethod(exchange)
  const route = routeName(exchange)
  return route === null ? method : `${method} ${route}`
}

/** `{method}`: the conventions know no route on the client side. */
export function clientSpanName(exchange: Exchange): string {
  return spanMethod(exchange)
}

// The conventions want HTTP in the name where the method is unknown.
function spanMethod(exchange: Exchange): string {
  const method = knownMethod(exchange.facts.method)
  return method === '_OTHER' ? 'HTTP' : method
}

export function describeServer(span: Span, exchange: Exchange, self: SpiffeId | null): void {
  describeRequest(span, exchange)
  span.setAttribute('url.path', ownText(exchange.facts.path))
  span.setAttribute('url.scheme', schemeOf(exchange))
  setRoute(span, exchange, 'http.route')
  if (exchange.source !== null) {
    span.setAttribute('client.address', exchange.source.host)
    span.setAttribute('network.peer.address', exchange.source.host)
    span.setAttribute('network.peer.port', exchange.source.port)
  }
  span.setAttribute('network.protocol.version', exchange.version)
  span.setAttribute('http.request.body.size', exchange.requestBytes)
  span.setAttribute('http.response.body.size', exchange.responseBytes)
  setIdentities(span, exchange.peer, self)
  // A client's mistake is no failure of the server; one that saw no answer at all is.
  const isError = exchange.status >= 500 || (exchange.status === 0 && exchange.reason !== null)
  const { status, grpcStatus, reason, detail } = exchange
  setOutcome(span, { status, grpcStatus, reason, detail, isError: isError || isRpcError(grpcStatus, 'inbound') })
}

export function describeClient(
  span: Span,
  exchange: Exchange,
  attempt: Attempt,
  code: FaultCode | null,
  self: SpiffeId | null,
): void {
  describeRequest(span, exchange)
  const { endpoint } = attempt.lease
  span.setAttribute('url.full', ownText(fullUrl(exchange)))
  setRoute(span, exchange, 'weft.route')
  span.setAttribute('network.peer.address', endpoint.address.host)
  span.setAttribute('network.peer.port', endpoint.address.port)
  if (attempt.upstream !== null) span.setAttribute('network.protocol.version', attempt.upstream.version)
  span.setAttribute('weft.endpoint', endpoint.pod)
  setIdentities(span, self, endpoint.identity)
  const resends = exchange.attempts.indexOf(attempt)
  if (resends > 0) span.setAttribute('http.request.resend_count', resends)
  const isError = attempt.status >= 400 || code !== null || isRpcError(attempt.grpcStatus, 'outbound')
  setOutcome(span, {
    status: attempt.status,
    grpcStatus: attempt.grpcStatus,
    reason: code,
    detail: code === exchange.reason ? exchange.detail : null,
    isError,
  })
}

/** A request that the sidecar answered itself before it tried any endpoint. */
export function describeRefusal(span: Span, exchange: Exchange, self: SpiffeId | null): void {
  describeRequest(span, exchange)
  span.setAttribute('url.full', ownText(fullUrl(exchange)))
  setRoute(span, exchange, 'weft.route')
  setIdentities(span, self, null)
  const { status, grpcStatus, reason, detail } = exchange
  setOutcome(span, { status, grpcStatus, reason, detail, isError: status >= 400 || reason !== null })
}

function describeRequest(span: Span, exchange: Exchange): void {
  const method = knownMethod(exchange.facts.method)
  span.setAttribute('http.request.method', method)
  if (method !== exchange.facts.method)
    span.setAttribute('http.request.method_original', ownText(exchange.facts.method))
  const server = splitAuthority(ownText(exchange.facts.authority))
  span.setAttribute('server.address', server.host === '' ? exchange.destination.host : server.host)
  span.setAttribute('server.port', server.port ?? exchange.destination.port)
  const userAgent = fieldValue(exchange.request, 'user-agent')
  if (userAgent !== undefined) span.setAttribute('user_agent.original', ownText(userAgent))
  if (exchange.service !== null) span.setAttribute('weft.service', exchange.service)
  if (!exchange.isGrpc) return
  span.setAttribute('rpc.system.name', 'grpc')
  span.setAttribute('rpc.method', ownText(exchange.facts.path.slice(1)))
}

interface Outcome {
  readonly status: number
  readonly grpcStatus: number | null
  readonly reason: FaultCode | null
  readonly detail: string | null
  readonly isError: boolean
}

function setOutcome(span: Span, outcome: Outcome): void {
  if (outcome.status !== 0) span.setAttribute('http.response.status_code', outcome.status)
  if (outcome.reason !== null) span.setAttribute('weft.reason', outcome.reason)
  const call = rpcStatus(outcome.grpcStatus)
  if (call !== null) span.setAttribute('rpc.status_code', call)
  if (!outcome.isError) return
  const isFailedCall = outcome.grpcStatus !== null && outcome.grpcStatus !== 0
  span.setAttribute('error.type', outcome.reason ?? (isFailedCall && call !== null ? call : String(outcome.status)))
  // Where the status code says it all the conventions want no text.
  if (outcome.reason === null) span.setStatus({ code: SpanStatusCode.ERROR })
  else span.setStatus({ code: SpanStatusCode.ERROR, message: outcome.detail ?? outcome.reason })
}

function setIdentities(span: Span, source: SpiffeId | null, destination: SpiffeId | null): void {
  if (source !== null) span.setAttribute('weft.source.identity', source)
  if (destination !== null) span.setAttribute('weft.destination.identity', destination)
}

function setRoute(span: Span, exchange: Exchange, name: 'http.route' | 'weft.route'): void {
  const route = routeName(exchange)
  if (route !== null) span.setAttribute(name, route)
}

/** "namespace/name" of the HTTPRoute that decided, as in the metrics and the access log. */
function routeName(exchange: Exchange): string | null {
  const rule = exchange.decision.rule
  return rule === null ? null : `${rule.route.namespace}/${rule.route.name}`
}

// The query stays out: it is where tokens are.
function fullUrl(exchange: Exchange): string {
  const { authority, path } = exchange.facts
  return `${schemeOf(exchange)}://${authority === '' ? exchange.destination.host : authority}${path}`
}

function schemeOf(exchange: Exchange): string {
  return fieldValue(exchange.request, ':scheme') ?? 'http'
}

/** "catalog:8080", "[fd00::1]:80", "catalog"; the port is null where there is none. */
function splitAuthority(authority: string): { readonly host: string; readonly port: number | null } {
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d{1,5}))?$/.exec(authority)
  if (match === null) return { host: authority, port: null }
  return { host: match[1] ?? match[2] ?? '', port: match[3] === undefined ? null : Number(match[3]) }
}
