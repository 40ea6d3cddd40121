// One stream to control: mutual TLS 1.3 in which control must prove its exact SPIFFE ID, then messages both ways until it ends.
import { Metadata } from '@grpc/grpc-js'
import type { Identity } from '#flow/identity.ts'
import type { Clock } from '#shared/clock.ts'
import type { ControlMessage, SidecarMessage } from '#shared/contract/discovery.ts'
import { loadContract } from '#shared/contract/load.ts'
import { channelCredentials } from '#shared/identity/grpc-client.ts'
import { holdStream, streamOptions } from '#shared/identity/grpc-stream.ts'
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

const OPTIONS = { ...streamOptions(10_000), 'grpc.max_receive_message_length': 32 * 1024 * 1024 }

/** Throws when key and certificate do not fit each other; all else that goes wrong ends the link. */
export function openLink(options: LinkOptions): Link {
  const client = new DiscoveryClient(
    options.controlAddress,
    channelCredentials({ roots: options.identity.roots, server: options.controlId, own: options.identity }),
    OPTIONS,
  )
  const call = client.Sync(new Metadata())
  const stream = holdStream(client, call, options)
  call.on('data', (message: ControlMessage) => {
    if (!stream.isOver) options.onMessage(message)
  })
  call.on('end', () => stream.end(new Error('control ended the stream')))
  return {
    send(message) {
      // Sidecars say little; what cannot be sent at once waits in memory and dies with the stream.
      if (!stream.isOver) call.write(message)
    },
    close: stream.close,
  }
}
