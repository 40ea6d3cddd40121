// gRPC for the benchmark: the service, its server and its load, each of the two a process of its own.
//   grpc-echo.ts serve PORT            grpc-echo.ts load PORT CALLS SECONDS: prints what it found as JSON
import { join } from 'node:path'
import {
  type Client,
  credentials,
  type GrpcObject,
  loadPackageDefinition,
  Server,
  ServerCredentials,
  type ServiceClientConstructor,
  type ServiceError,
} from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

interface Message {
  readonly text: string
}
type Done = (error: ServiceError | null, answer: Message | undefined) => void

const { bench } = loadPackageDefinition(loadSync(join(import.meta.dirname, 'echo.proto'))) as { bench: GrpcObject }
const Echo = bench['Echo'] as ServiceClientConstructor
const TEXT = 'x'.repeat(100)

function serve(port: number): void {
  const server = new Server()
  server.addService(Echo.service, {
    Say: ({ request }: { request: Message }, done: Done) => done(null, { text: request.text }),
  })
  server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error) => {
    if (error !== null) throw error
  })
}

/** Each answer is compared with what was said; the first that differs ends it. */
async function load(port: number, calls: number, seconds: number): Promise<void> {
  const client = new Echo(`127.0.0.1:${port}`, credentials.createInsecure()) as unknown as Client & {
    Say(request: Message, done: Done): void
  }
  const took: number[] = []
  const startedAt = performance.now()
  const until = startedAt + seconds * 1000
  const one = () =>
    new Promise<void>((resolve, reject) => {
      const at = performance.now()
      const text = `${TEXT}${took.length % 1000}`
      client.Say({ text }, (error, answer) => {
        if (error !== null) return reject(error)
        if (answer?.text !== text) return reject(new Error('another answer than was said'))
        took.push(performance.now() - at)
        resolve()
      })
    })
  const worker = async () => {
    while (performance.now() < until) await one()
  }
  await Promise.all(Array.from({ length: calls }, worker))
  const passed = (performance.now() - startedAt) / 1000
  took.sort((a, b) => a - b)
  const p99 = took[Math.floor(took.length * 0.99)]
  process.stdout.write(JSON.stringify({ requests: took.length, perSecond: took.length / passed, p99 }))
  client.close()
}

const [order, port, calls, seconds] = process.argv.slice(2)
if (order === 'serve') serve(Number(port))
else await load(Number(port), Number(calls), Number(seconds))
