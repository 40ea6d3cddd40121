// OTLP over gRPC (opentelemetry-proto, trace_service.proto), in clear: spans hold no secret of the mesh, and applications send theirs too.
import { type handleUnaryCall, Server, ServerCredentials, status } from '@grpc/grpc-js'
import { type Address, formatAddress } from '#shared/address.ts'
import { loadContract } from '#shared/contract/load.ts'
import type { ExportTraceServiceRequest, ExportTraceServiceResponse } from '#shared/contract/otlp-trace.ts'
import { MAX_REQUEST_BYTES, receiveSpans } from './receive.ts'
import type { TraceRing } from './ring.ts'

export interface Receiver {
  readonly addresses: readonly Address[]
  close(): Promise<void>
}

const OPTIONS = {
  'grpc.max_receive_message_length': MAX_REQUEST_BYTES,
  'grpc.max_concurrent_streams': 100,
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
  try {
    const bound: Address[] = []
    for (const { host, port } of addresses) bound.push({ host, port: await bind(server, { host, port }) })
    return { addresses: bound, close: async () => server.forceShutdown() }
  } catch (error) {
    server.forceShutdown()
    throw error
  }
}

function bind(server: Server, address: Address): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(formatAddress(address), ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(port)
      else reject(error)
    })
  })
}
