// The messages of certificates.proto as TypeScript sees them.
import type { CallOptions, Client, ClientUnaryCall, Metadata, ServiceError } from '@grpc/grpc-js'

export interface SignRequest {
  /** PKCS #10, DER. */
  readonly csr: Buffer
  readonly token: string
}

export interface SignResponse {
  readonly chainPem: string
  readonly rootsPem: string
  readonly notAfterMs: number
}

export interface CertificatesClient extends Client {
  Sign(
    request: SignRequest,
    metadata: Metadata,
    options: CallOptions,
    callback: (error: ServiceError | null, response?: SignResponse) => void,
  ): ClientUnaryCall
}
