// OTLP over gRPC (opentelemetry-proto, trace_service.proto), in clear: spans hold no secret of the mesh, and applications send theirs too.
import { once } from 'node:events'
import { createServer, type Server as TcpServer } from 'node:net'
import { type handleUnaryCall, Server, ServerCredentials, status } from '@grpc/grpc-js'
import type { Address } from '#shared/address.ts'
import { loadContract } from '#shared/contract/load.ts'
import type { ExportTraceServiceRequest, ExportTraceServiceResponse } from '#shared/contract/otlp-trace.ts'
import { limitSources } from '#shared/limit-sources.ts'
import { MAX_REQUEST_BYTES, receiveSpans } from './receive.ts'
import type { TraceRing } from './ring.ts'

export interface Receiver {
  readonly addresses: readonly Address[]
  close(): Promise<void>
}

const MAX_CONNECTIONS = 512
/** grpc-js gathers whole messages, and anybody may send: connections, calls and their size bound what one source can pin. */
const MAX_CONNECTIONS_PER_SOURCE = 8
const OPTIONS = {
  'grpc.max_receive_message_length': MAX_REQUEST_BYTES,
  'grpc.max_concurrent_streams': 4,
  // Exporters come back by themselves; a call that never ends goes with its connection.
  'grpc.max_connection_age_ms': 300_000,
  'grpc.max_connection_age_grace_ms': 10_000,
  'grpc.enable_channelz': 0,
}

/** Port 0 takes a free one. Rejects when an address cannot be had. */
export async function startGrpcReceiver(addresses: readonly Address[], ring: TraceRing): Promise<Receiver> {
  const Export: handleUnaryCall<ExportTraceServiceRequest, ExportTraceServiceResponse> = (call, callback) => {
    try {
      callback(null, receiveSpans(ring, call.request))
    } catch (error) {
      callback({ code: status.INVALID_ARGUMENT, details: error instanceof Error ? error.message : String(error) })
    }
  }
  const server = new Server(OPTIONS)
  server.addService(loadContract('otlp-trace').service, { Export })
  // Our own listeners in front, as grpc-js cannot count connections.
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure())
  const listeners: TcpServer[] = []
  const close = async () => {
    for (const listener of listeners) listener.close()
    server.forceShutdown()
  }
  try {
    const bound: Address[] = []
    for (const { host, port } of addresses) {
      const listener = createServer((socket) => injector.injectConnection(socket))
      listeners.push(listener)
      bound.push({ host, port: await bind(listener, { host, port }) })
    }
    return { addresses: bound, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function bind(listener: TcpServer, { host, port }: Address): Promise<number> {
  listener.maxConnections = MAX_CONNECTIONS
  limitSources(listener, MAX_CONNECTIONS_PER_SOURCE)
  listener.on('connection', (socket) => socket.on('error', () => {}))
  listener.listen({ host, port })
  await once(listener, 'listening')
  const at = listener.address()
  return typeof at === 'object' && at !== null ? at.port : port
}
