// One stream of reports to the replica that holds the Lease, which must prove that it is control.
import { Metadata, type ServiceError } from '@grpc/grpc-js'
import type { Clock } from '#shared/clock.ts'
import { loadContract } from '#shared/contract/load.ts'
import type { ReplicaReport } from '#shared/contract/replicas.ts'
import { CHANNEL_OPTIONS, channelCredentials } from '#shared/identity/grpc-client.ts'
import type { SvidIdentity } from '#shared/identity/svid.ts'

const ReplicasClient = loadContract('replicas')

export interface ReportLinkOptions {
  readonly address: string
  readonly identity: SvidIdentity
  readonly clock: Clock
  /** Once, unless the link was closed from here. */
  onEnd(error: Error): void
}

export interface ReportLink {
  /** Whether reports are taken, and the last ones have left. */
  isReady(): boolean
  send(report: ReplicaReport): void
  close(): void
}

const CONNECT_MS = 5_000
const OPTIONS = {
  ...CHANNEL_OPTIONS,
  'grpc.enable_retries': 0,
  'grpc.enable_channelz': 0,
  'grpc.service_config_disable_resolution': 1,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.keepalive_time_ms': 5_000,
  'grpc.keepalive_timeout_ms': 5_000,
}

/** Throws when key and certificate do not fit each other; all else that goes wrong ends the link. */
export function openReportLink({ address, identity, clock, onEnd }: ReportLinkOptions): ReportLink {
  // Both ends are control: the one that is asked must be who we are.
  const credentials = channelCredentials({ roots: identity.roots, server: identity.id, own: identity })
  const client = new ReplicasClient(address, credentials, OPTIONS)
  let isOver = false
  let isTaken = false
  let isFull = false
  const call = client.Report(new Metadata(), (error: ServiceError | null) =>
    end(error ?? new Error('the other replica ended the stream')),
  )
  const stop = () => {
    isOver = true
    cancelTimer()
    call.cancel()
    client.close()
  }
  const end = (error: Error) => {
    if (isOver) return
    stop()
    onEnd(error)
  }
  const cancelTimer = clock.after(CONNECT_MS, () => end(new Error(`no answer within ${CONNECT_MS} ms`)))
  call.on('metadata', () => {
    isTaken = true
    cancelTimer()
  })
  call.on('drain', () => {
    isFull = false
  })
  call.on('error', (error: Error) => end(error))
  return {
    isReady: () => isTaken && !isFull && !isOver,
    send(report) {
      if (!isOver && !call.write(report)) isFull = true
    },
    close: stop,
  }
}
