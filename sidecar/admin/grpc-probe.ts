// grpc.health.v1.Health/Check on node:http2, for probes: two fields of protobuf do not need a library.
import { connect } from 'node:http2'

/** Of grpc/health/v1/health.proto. */
const STATUS = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'] as const
/** A reply is a few bytes; more is none. */
const MOST_BYTES = 1024

export interface GrpcTarget {
  readonly host: string
  readonly port: number
  /** Empty: the server as a whole. */
  readonly service: string
}

/** Resolves with the name of the status. Rejects when there is no answer, or a status of gRPC other than OK. */
export function checkGrpcHealth({ host, port, service }: GrpcTarget, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const authority = host.includes(':') ? `[${host}]` : host
    const session = connect(`http://${authority}:${port}`)
    const onAbort = () => fail(new Error('aborted'))
    function fail(cause: Error): void {
      signal.removeEventListener('abort', onAbort)
      session.destroy()
      reject(cause)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) return onAbort()
    session.on('error', fail)
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
      'user-agent': 'weft-probe',
    })
    const chunks: Buffer[] = []
    let size = 0
    // Trailers, or a head alone where there is no body.
    let outcome: Readonly<Record<string, unknown>> = {}
    stream.on('error', fail)
    stream.on('response', (headers) => {
      outcome = headers
    })
    stream.on('trailers', (trailers) => {
      outcome = trailers
    })
    stream.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > MOST_BYTES) fail(new Error('the answer is too long for a health check'))
      else chunks.push(chunk)
    })
    stream.on('end', () => {
      const status = outcome['grpc-status']
      if (status !== '0')
        return fail(new Error(`the application answered with gRPC status ${String(status ?? '(none)')}`))
      signal.removeEventListener('abort', onAbort)
      session.destroy()
      resolve(readStatus(Buffer.concat(chunks)))
    })
    stream.end(frame(Buffer.from(service)))
  })
}

/** HealthCheckRequest { string service = 1 }, in a frame of gRPC: a flag, four bytes of length, the message. */
function frame(service: Buffer): Buffer {
  const message =
    service.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, ...varint(service.length)]), service])
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)]
}

/** HealthCheckResponse { ServingStatus status = 1 }; a status of zero is left out. */
function readStatus(body: Buffer): string {
  const message = body.subarray(5)
  const status = message[0] === 0x08 ? (message[1] ?? 0) : 0
  return STATUS[status] ?? `status ${status}`
}
