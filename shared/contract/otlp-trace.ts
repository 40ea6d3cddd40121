// The messages of otlp-trace.proto as TypeScript sees them. OTLP's JSON has the same names (opentelemetry-proto,
// "JSON Protobuf Encoding"), with trace and span ids as hex text instead of bytes and 64-bit numbers as text.
import type { CallOptions, Client, ClientUnaryCall, Metadata, ServiceError } from '@grpc/grpc-js'

export interface OtlpValue {
  readonly stringValue?: string
  readonly boolValue?: boolean
  readonly intValue?: string | number
  readonly doubleValue?: number
  readonly arrayValue?: { readonly values?: readonly OtlpValue[] }
  readonly kvlistValue?: { readonly values?: readonly OtlpKeyValue[] }
  readonly bytesValue?: Uint8Array | string
}

export interface OtlpKeyValue {
  readonly key: string
  readonly value?: OtlpValue | null
}

export interface OtlpSpan {
  readonly traceId: Uint8Array | string
  readonly spanId: Uint8Array | string
  readonly parentSpanId?: Uint8Array | string
  readonly name?: string
  /** 1 internal, 2 server, 3 client, 4 producer, 5 consumer; a few exporters write the enum's name into JSON. */
  readonly kind?: number | string
  readonly startTimeUnixNano?: string | number
  readonly endTimeUnixNano?: string | number
  readonly attributes?: readonly OtlpKeyValue[]
  readonly status?: { readonly message?: string; readonly code?: number | string } | null
}

export interface ExportTraceServiceRequest {
  readonly resourceSpans?: readonly {
    readonly resource?: { readonly attributes?: readonly OtlpKeyValue[] } | null
    readonly scopeSpans?: readonly { readonly spans?: readonly OtlpSpan[] }[]
  }[]
}

export interface ExportTraceServiceResponse {
  readonly partialSuccess?: { readonly rejectedSpans: string | number; readonly errorMessage: string }
}

export interface TraceServiceClient extends Client {
  Export(
    request: ExportTraceServiceRequest,
    metadata: Metadata,
    options: CallOptions,
    callback: (error: ServiceError | null, response?: ExportTraceServiceResponse) => void,
  ): ClientUnaryCall
}
