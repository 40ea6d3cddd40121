// payment.proto for both ends: its types, and the service as grpc-js wants it.
import { join } from 'node:path'
import { type GrpcObject, loadPackageDefinition, type ServiceClientConstructor } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

export interface ChargeRequest {
  readonly customer: string
  readonly product: string
  readonly cents: number
}

export interface ReceiptsRequest {
  readonly customer: string
  readonly count: number
}

export interface Receipt {
  readonly number: number
  readonly product: string
  readonly cents: number
  readonly replica: string
}

const definition = loadSync(join(import.meta.dirname, 'payment.proto'), { defaults: true })
const { shop } = loadPackageDefinition(definition) as { shop: GrpcObject }

export const PaymentService = shop['Payment'] as ServiceClientConstructor
