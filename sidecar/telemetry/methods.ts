// HTTP methods that may stand in a label or an attribute; whatever a client makes up becomes _OTHER.

// https://opentelemetry.io/docs/specs/semconv/http/: RFC 9110, PATCH (RFC 5789) and QUERY.
const KNOWN_METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', 'QUERY'])

const OTHER_METHOD = '_OTHER'

export function knownMethod(method: string): string {
  return KNOWN_METHODS.has(method) ? method : OTHER_METHOD
}
