// Every way the data path can fail, with what the client sees. docs/errors.md is made from this table.

interface Fault {
  /** The HTTP status of our own answer; 0 where none can be given (L4: the connection is reset). */
  readonly status: number
  readonly grpc: number
  /** Whether another endpoint could do better. */
  readonly retry: boolean
  readonly text: string
  /** What an operator can do about it. */
  readonly fix: string
}

export const FAULTS = {
  BAD_REQUEST: {
    status: 400,
    grpc: 13,
    retry: false,
    text: 'the request breaks the rules of HTTP',
    fix: 'Mend the client; the detail in the access log names the rule.',
  },
  HEADER_TOO_LARGE: {
    status: 431,
    grpc: 8,
    retry: false,
    text: 'the request head is larger than the limit of 60 KiB or 100 fields',
    fix: 'Send fewer or shorter header fields.',
  },
  URI_TOO_LONG: {
    status: 414,
    grpc: 8,
    retry: false,
    text: 'the request line is longer than the limit',
    fix: 'Shorten the path or the query.',
  },
  HTTP_VERSION: {
    status: 505,
    grpc: 12,
    retry: false,
    text: 'the HTTP version is not one that this port speaks',
    fix: 'Use HTTP/1.1 or HTTP/1.0.',
  },
  CONNECT_REFUSED: {
    status: 405,
    grpc: 12,
    retry: false,
    text: 'CONNECT is not allowed through the mesh',
    fix: 'Connect to the destination itself; the sidecar carries any TCP.',
  },
  HEAD_TIMEOUT: {
    status: 408,
    grpc: 4,
    retry: false,
    text: 'the request head did not arrive in time',
    fix: 'Send the head at once; the limit is 10 seconds after its first byte.',
  },
  HTTP2_FLOOD: {
    status: 0,
    grpc: 8,
    retry: false,
    text: 'the peer sends more HTTP/2 frames of one kind than any honest one does',
    fix: 'The detail names the kind and docs/http2.md the limits; mend the client, or report it when it is an honest one.',
  },
  HTTP2_SILENT: {
    status: 0,
    grpc: 14,
    retry: true,
    text: 'the HTTP/2 peer did not acknowledge SETTINGS, or answer PINGs, in time',
    fix: 'Check that the peer is alive, not stopped or overloaded, and speaks HTTP/2.',
  },
  COMPAT_BODY: {
    status: 400,
    grpc: 3,
    retry: false,
    text: 'the Compat engine cannot forward a body of GET, HEAD or OPTIONS',
    fix: 'Send no such body, or take the port out of config.weft.dev/compat-ports (or compat.ports of the MeshPolicy): our own codec forwards it.',
  },
  COMPAT_GRPC: {
    status: 501,
    grpc: 12,
    retry: false,
    text: 'the Compat engine asks applications by HTTP/1.1, which cannot carry gRPC',
    fix: 'Take the port out of config.weft.dev/compat-ports (or compat.ports of the MeshPolicy).',
  },
  AMBIGUOUS_PATH: {
    status: 400,
    grpc: 3,
    retry: false,
    text: 'the path has two readings and a rule on this port matches by path',
    fix: 'Do not send encoded slashes, backslashes or dot segments to a port with path rules.',
  },
  NO_ROUTE: {
    status: 404,
    grpc: 12,
    retry: false,
    text: 'no rule of the routes of this service matches the request',
    fix: 'Add a rule without matches as the last one, or mend the matches: docs/decide.md says how they are read.',
  },
  NO_BACKEND: {
    status: 500,
    grpc: 14,
    retry: false,
    text: 'the matched rule has no valid backend',
    fix: 'Give the rule a backendRef to a Service that exists; see the status of the route.',
  },
  NO_DISCOVERY: {
    status: 0,
    grpc: 14,
    retry: true,
    text: 'control has not said what this address of the mesh is, and in clear it must not be spoken to',
    fix: 'See why the sidecar cannot reach control: `weft status` and the log of the sidecar.',
  },
  NO_ENDPOINT: {
    status: 503,
    grpc: 14,
    retry: true,
    text: 'no endpoint is fit to serve',
    fix: 'Check that pods of the service are ready: `weft status`.',
  },
  NO_LOCAL_ENDPOINT: {
    status: 503,
    grpc: 14,
    retry: true,
    text: 'no endpoint on the node of this pod, and the service has internalTrafficPolicy: Local',
    fix: 'Run a pod of the service on each node that has callers (a DaemonSet), or set internalTrafficPolicy: Cluster.',
  },
  CONNECT_FAILED: {
    status: 503,
    grpc: 14,
    retry: true,
    text: 'the endpoint refused the connection',
    fix: 'Check that the application listens on the port.',
  },
  CONNECT_TIMEOUT: {
    status: 504,
    grpc: 14,
    retry: true,
    text: 'the endpoint did not accept a connection in time',
    fix: 'Check that the pod is alive and reachable.',
  },
  PEER_IDENTITY: {
    status: 503,
    grpc: 14,
    retry: true,
    text: 'the endpoint did not prove the identity that discovery holds for it',
    fix: 'Check the service account of the pod and the trust bundle: `weft status`.',
  },
  UPSTREAM_CLOSED: {
    status: 502,
    grpc: 14,
    retry: true,
    text: 'the endpoint closed the connection before it answered',
    fix: 'See the log of the application; a keep-alive timeout shorter than ours can do this.',
  },
  UPSTREAM_PROTOCOL: {
    status: 502,
    grpc: 14,
    retry: false,
    text: 'the endpoint answered with something that is not HTTP',
    fix: 'Check the appProtocol of the port.',
  },
  TRY_TIMEOUT: {
    status: 504,
    grpc: 4,
    retry: true,
    text: 'the endpoint did not begin to answer within retries.perTryTimeout of the policy',
    fix: 'Raise the timeout of the TrafficPolicy or make the service faster.',
  },
  REQUEST_TIMEOUT: {
    status: 504,
    grpc: 4,
    retry: false,
    text: 'no complete answer within timeouts.request of the policy',
    fix: 'Raise the timeout of the TrafficPolicy or make the service faster.',
  },
  IDLE_TIMEOUT: {
    status: 504,
    grpc: 4,
    retry: false,
    text: 'no byte in either direction for timeouts.idle of the policy',
    fix: 'Raise the timeout of the TrafficPolicy.',
  },
  BREAKER_OPEN: {
    status: 503,
    grpc: 14,
    retry: false,
    text: 'the circuit breaker of the service is open',
    fix: 'The service failed too often; it is tried again after circuitBreaker.resetTimeout.',
  },
  STRICT_MTLS: {
    status: 0,
    grpc: 16,
    retry: false,
    text: 'a connection without mutual TLS reached a port that is Strict',
    fix: 'Mesh the caller, or set mode Permissive in a MeshPolicy for this workload.',
  },
  CALLER_IDENTITY: {
    status: 0,
    grpc: 16,
    retry: false,
    text: 'the caller did not prove an identity of this mesh',
    fix: 'The cause in the log says what was wrong; check the trust bundle and the clock of the caller: `weft status`.',
  },
  NOT_REDIRECTED: {
    status: 0,
    grpc: 14,
    retry: false,
    text: 'the connection came straight to a port of the sidecar',
    fix: 'Connect to the port of the application.',
  },
  NOT_THIS_POD: {
    status: 0,
    grpc: 14,
    retry: false,
    text: 'the connection reached this pod but is for an address that is not its own',
    fix: 'Correct the route of the sender that leads through this pod; a sidecar is no router.',
  },
  INTERNAL: {
    status: 500,
    grpc: 13,
    retry: false,
    text: 'the sidecar failed',
    fix: 'Report it with the log of the sidecar.',
  },
} as const satisfies Record<string, Fault>

export type FaultCode = keyof typeof FAULTS

export class FlowError extends Error {
  override readonly name = 'FlowError'
  readonly code: FaultCode
  constructor(code: FaultCode, options?: ErrorOptions) {
    super(FAULTS[code].text, options)
    this.code = code
  }
}

/** A bug of ours: a head or body was handed over that HTTP cannot carry. The half ends with 'internal'. */
export class Unsendable extends Error {
  override readonly name = 'Unsendable'
}
