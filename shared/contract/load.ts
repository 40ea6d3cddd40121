// Reads a .proto file and gives the client constructor and service definition of its one service. It reads from disk: call it
// while the process may still read the program's folder (a sidecar drops to uid 1337), so at the top of a module.
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import {
  type ChannelCredentials,
  type Client,
  type ClientOptions,
  loadPackageDefinition,
  type ServiceDefinition,
} from '@grpc/grpc-js'
import { loadSync, type Options } from '@grpc/proto-loader'
import type { CertificatesClient } from './certificates.ts'
import type { DiscoveryClient } from './discovery.ts'
import type { TraceServiceClient } from './otlp-trace.ts'
import type { ReplicasClient } from './replicas.ts'

export interface Contract<C extends Client> {
  new (address: string, credentials: ChannelCredentials, options?: ClientOptions): C
  readonly service: ServiceDefinition
}

interface Clients {
  readonly discovery: DiscoveryClient
  readonly certificates: CertificatesClient
  readonly replicas: ReplicasClient
  readonly 'otlp-trace': TraceServiceClient
}
export type ContractName = keyof Clients

/** The full name of the one service in each file. */
const SERVICES: Readonly<Record<ContractName, string>> = {
  discovery: 'weft.discovery.v1.Discovery',
  certificates: 'weft.certificates.v1.Certificates',
  replicas: 'weft.replicas.v1.Replicas',
  'otlp-trace': 'opentelemetry.proto.collector.trace.v1.TraceService',
}

/** int64 as number suits milliseconds and counts; the nanoseconds of spans pass 2^53, so that contract keeps them as text. */
const OPTIONS: Options = { enums: String, defaults: true, oneofs: true, arrays: true, keepCase: false, longs: Number }

/** Beside this file in development; in `contract/` beside the bundle. */
function protoFile(name: ContractName): string {
  const places = [`./${name}.proto`, `./contract/${name}.proto`].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  )
  const found = places.find((path) => existsSync(path))
  if (found === undefined) throw new Error(`the contract ${name}.proto is missing; looked at ${places.join(' and ')}`)
  return found
}

export function loadContract<Name extends ContractName>(name: Name): Contract<Clients[Name]> {
  const options = name === 'otlp-trace' ? { ...OPTIONS, longs: String } : OPTIONS
  let item: unknown = loadPackageDefinition(loadSync(protoFile(name), options))
  for (const part of SERVICES[name].split('.')) item = (item as Record<string, unknown>)[part]
  // The .proto file and the types beside it are kept equal by hand; load.test.ts sends every field once.
  return item as Contract<Clients[Name]>
}
