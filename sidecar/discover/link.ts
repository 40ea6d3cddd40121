// One stream to control: mutual TLS 1.3 in which control must prove its exact SPIFFE ID, then messages both ways until it ends.
import { Metadata, type ServiceError } from '@grpc/grpc-js'
import type { Identity } from '#flow/identity.ts'
import type { Clock } from '#shared/clock.ts'
import type { ControlMessage, SidecarMessage } from '#shared/contract/discovery.ts'
import { loadContract } from '#shared/contract/load.ts'
import { CHANNEL_OPTIONS, channelCredentials } from '#shared/identity/grpc-client.ts'
import type { SpiffeId } from '#shared/identity/spiffe-id.ts'

// Read when the module is loaded: later the process may not be able to (see load.ts).
const DiscoveryClient = loadContract('discovery')

export interface LinkOptions {
  readonly controlAddress: string
  readonly controlId: SpiffeId
  readonly identity: Identity
  readonly clock: Clock
  onMessage(message: ControlMessage): void
  /** Called once, unless the link was closed from here. */
  onEnd(error: Error): void
}

export interface Link {
  send(message: SidecarMessage): void
  close(): void
}

/** To reach control and be let in; how long control then takes to have a model is its own affair. */
const CONNECT_MS = 5_000
const OPTIONS = {
  ...CHANNEL_OPTIONS,
  'grpc.enable_retries': 0,
  'grpc.enable_channelz': 0,
  'grpc.service_config_disable_resolution': 1,
  // Channels must not share a connection: each has the certificate of its time.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.max_receive_message_length': 32 * 1024 * 1024,
}

/** Throws when key and certificate do not fit each other; all else that goes wrong ends the link. */
export function openLink(options: LinkOptions): Link {
  const client = new DiscoveryClient(
    options.controlAddress,
    channelCredentials({ roots: options.identity.roots, server: options.controlId, own: options.identity }),
    OPTIONS,
  )
  const call = client.Sync(new Metadata())
  let isOver = false
  const stop = () => {
    isOver = true
    cancelTimer()
    call.cancel()
    client.close()
  }
  const end = (error: Error) => {
    if (isOver) return
    stop()
    options.onEnd(error)
  }
  const cancelTimer = options.clock.after(CONNECT_MS, () => end(new Error(`no answer within ${CONNECT_MS} ms`)))
  call.on('metadata', () => cancelTimer())
  call.on('data', (message: ControlMessage) => {
    if (!isOver) options.onMessage(message)
  })
  call.on('error', (error: ServiceError) => end(error))
  call.on('end', () => end(new Error('control ended the stream')))
  return {
    send(message) {
      // Sidecars say little; what cannot be sent at once waits in memory and dies with the stream.
      if (!isOver) call.write(message)
    },
    close: stop,
  }
}
