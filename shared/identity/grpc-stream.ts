// A stream to another process of the mesh that is held for as long as it lasts: both ends have proven themselves, the other one takes the
// call in good time or it is over, and the end is told once. What is said on it is the affair of whoever opened it.
import type { EventEmitter } from 'node:events'
import type { ChannelOptions, Client } from '@grpc/grpc-js'
import type { Clock } from '#shared/clock.ts'
import { CHANNEL_OPTIONS } from './grpc-client.ts'

/** To be reached and to take the call; what comes after may take its time. */
const CONNECT_MS = 5_000

/** Of a channel for one stream. `keepaliveMs`: how soon a peer that is gone without a word is asked for. */
export function streamOptions(keepaliveMs: number): ChannelOptions {
  return {
    ...CHANNEL_OPTIONS,
    'grpc.enable_retries': 0,
    'grpc.enable_channelz': 0,
    'grpc.service_config_disable_resolution': 1,
    // Channels must not share a connection: each has the certificate of its time.
    'grpc.use_local_subchannel_pool': 1,
    'grpc.keepalive_time_ms': keepaliveMs,
    'grpc.keepalive_timeout_ms': 5_000,
  }
}

export interface HeldStream {
  readonly isOver: boolean
  /** Ends it as from the other side; only the first time counts. */
  end(error: Error): void
  /** Ends it from here: nobody is told. */
  close(): void
}

export function holdStream(
  client: Pick<Client, 'close'>,
  call: EventEmitter & { cancel(): void },
  { clock, onEnd }: { readonly clock: Clock; onEnd(error: Error): void },
): HeldStream {
  let isOver = false
  const close = () => {
    isOver = true
    cancelTimer()
    call.cancel()
    client.close()
  }
  const end = (error: Error) => {
    if (isOver) return
    close()
    onEnd(error)
  }
  const cancelTimer = clock.after(CONNECT_MS, () => end(new Error(`no answer within ${CONNECT_MS} ms`)))
  call.on('metadata', () => cancelTimer())
  call.on('error', end)
  return {
    get isOver() {
      return isOver
    },
    end,
    close,
  }
}
