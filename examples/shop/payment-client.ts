// A client of payment. It keeps one connection, as gRPC clients do: which replica answers each call is not its affair.
import { type Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js'
import { type ChargeRequest, PaymentService, type Receipt, type ReceiptsRequest } from './payment-api.ts'

export interface Payment {
  charge(request: ChargeRequest, headers: Readonly<Record<string, string>>): Promise<Receipt>
  receipts(request: ReceiptsRequest, headers: Readonly<Record<string, string>>): Promise<readonly Receipt[]>
  close(): void
}

interface Stub extends Client {
  Charge(request: ChargeRequest, metadata: Metadata, done: (error: ServiceError | null, receipt: Receipt) => void): void
  Receipts(request: ReceiptsRequest, metadata: Metadata): AsyncIterable<Receipt>
}

export function connectPayment(target: string): Payment {
  const stub = new PaymentService(target, credentials.createInsecure()) as unknown as Stub
  return {
    charge: (request, headers) =>
      new Promise((resolve, reject) => {
        stub.Charge(request, metadataOf(headers), (error, receipt) =>
          error === null ? resolve(receipt) : reject(error),
        )
      }),
    async receipts(request, headers) {
      const found: Receipt[] = []
      for await (const receipt of stub.Receipts(request, metadataOf(headers))) found.push(receipt)
      return found
    },
    close: () => stub.close(),
  }
}

function metadataOf(headers: Readonly<Record<string, string>>): Metadata {
  const metadata = new Metadata()
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value)
  return metadata
}
