// The messages of replicas.proto as TypeScript sees them.
import type { Client, ClientWritableStream, Metadata, requestCallback } from '@grpc/grpc-js'

export interface SidecarState {
  readonly pod: string
  readonly openedAtMs: number
  readonly objects: readonly string[]
  readonly late: readonly { readonly object: string; readonly error: string }[]
}

export interface ReplicaReport {
  readonly replica: string
  readonly changed: readonly SidecarState[]
  readonly gone: readonly string[]
  readonly compiled: readonly { readonly object: string; readonly generation: number }[]
  readonly forgotten: readonly string[]
  readonly isWhole: boolean
}

export type ReportEnd = Readonly<Record<string, never>>

export interface ReplicasClient extends Client {
  Report(metadata: Metadata, callback: requestCallback<ReportEnd>): ClientWritableStream<ReplicaReport>
}
