// One stream of reports to the replica that holds the Lease, which must prove that it is control.
import { Metadata, type ServiceError } from '@grpc/grpc-js'
import type { Clock } from '#shared/clock.ts'
import { loadContract } from '#shared/contract/load.ts'
import type { ReplicaReport } from '#shared/contract/replicas.ts'
import { channelCredentials } from '#shared/identity/grpc-client.ts'
import { holdStream, streamOptions } from '#shared/identity/grpc-stream.ts'
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

const OPTIONS = streamOptions(5_000)

/** Throws when key and certificate do not fit each other; all else that goes wrong ends the link. */
export function openReportLink({ address, identity, clock, onEnd }: ReportLinkOptions): ReportLink {
  // Both ends are control: the one that is asked must be who we are.
  const credentials = channelCredentials({ roots: identity.roots, server: identity.id, own: identity })
  const client = new ReplicasClient(address, credentials, OPTIONS)
  let isTaken = false
  let isFull = false
  const call = client.Report(new Metadata(), (error: ServiceError | null) =>
    stream.end(error ?? new Error('the other replica ended the stream')),
  )
  const stream = holdStream(client, call, { clock, onEnd })
  call.on('metadata', () => {
    isTaken = true
  })
  call.on('drain', () => {
    isFull = false
  })
  return {
    isReady: () => isTaken && !isFull && !stream.isOver,
    send(report) {
      if (!stream.isOver && !call.write(report)) isFull = true
    },
    close: stream.close,
  }
}
