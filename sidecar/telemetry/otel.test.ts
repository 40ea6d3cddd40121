import { createServer as createHttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Server, ServerCredentials } from '@grpc/grpc-js'
import { context, propagation, ROOT_CONTEXT, trace } from '@opentelemetry/api'
import { expect, test } from 'vitest'
import { systemClock } from '#shared/clock.ts'
import type { WorkloadConfig } from '#shared/decide/config.ts'
import { silentLog } from '#shared/log.ts'
import { Watched } from '#shared/watch.ts'
import { createExchange, createWorkload } from './exchange.fixture.ts'
import { createTracing, type Tracing } from './trace.ts'

interface Collector extends AsyncDisposable {
  readonly endpoint: string
  /** Resolves with the first thing that is exported. */
  readonly first: Promise<{ readonly path: string; readonly body: Buffer }>
}

async function startHttpCollector(): Promise<Collector> {
  const first = Promise.withResolvers<{ path: string; body: Buffer }>()
  const server = createHttpServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    response.setHeader('content-type', 'application/json').end('{}')
    first.resolve({ path: request.url ?? '', body: Buffer.concat(chunks) })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    first: first.promise,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const EXPORT_PATH = '/opentelemetry.proto.collector.trace.v1.TraceService/Export'

async function startGrpcCollector(): Promise<Collector> {
  const first = Promise.withResolvers<{ path: string; body: Buffer }>()
  const server = new Server()
  const bytes = (value: Buffer) => value
  server.addService(
    {
      Export: {
        path: EXPORT_PATH,
        requestStream: false,
        responseStream: false,
        requestSerialize: bytes,
        requestDeserialize: bytes,
        responseSerialize: bytes,
        responseDeserialize: bytes,
      },
    },
    {
      Export: (call: { request: Buffer }, done: (error: null, answer: Buffer) => void) => {
        first.resolve({ path: EXPORT_PATH, body: call.request })
        done(null, Buffer.alloc(0))
      },
    },
  )
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    )
  })
  return {
    endpoint: `http://127.0.0.1:${port}`,
    first: first.promise,
    [Symbol.asyncDispose]: async () => server.forceShutdown(),
  }
}

async function startTracing(endpoint: string, protocol: 'grpc' | 'http'): Promise<Tracing & AsyncDisposable> {
  const workload = new Watched<WorkloadConfig | undefined>(createWorkload({ endpoint, protocol }))
  const tracing = createTracing({
    workload,
    clock: systemClock,
    log: silentLog,
    version: '1.2.3',
    random: Math.random,
    resource: {},
  })
  await tracing.settled()
  return { ...tracing, [Symbol.asyncDispose]: tracing.shutdown }
}

function serveOne(tracing: Tracing): string {
  const exchange = createExchange({ startedAt: systemClock.now() })
  tracing.inbound.onRequest?.(exchange)
  tracing.inbound.onEnd?.(exchange)
  return exchange.span?.spanContext().traceId ?? ''
}

test('spans reach a collector by OTLP over HTTP with JSON', async () => {
  await using collector = await startHttpCollector()
  const tracing = await startTracing(collector.endpoint, 'http')
  const traceId = serveOne(tracing)
  await tracing.shutdown()

  const { path, body } = await collector.first
  const [resourceSpan] = JSON.parse(body.toString()).resourceSpans
  expect(path).toBe('/v1/traces')
  expect(resourceSpan.resource.attributes).toContainEqual({ key: 'service.name', value: { stringValue: 'catalog-v1' } })
  expect(resourceSpan.scopeSpans[0].scope).toMatchObject({ name: 'weft', version: '1.2.3' })
  expect(resourceSpan.scopeSpans[0].spans[0]).toMatchObject({ traceId, name: 'GET', kind: 2 })
  expect(tracing.exported()).toBe(1)
})

test('spans reach a collector by OTLP over gRPC', async () => {
  await using collector = await startGrpcCollector()
  const tracing = await startTracing(collector.endpoint, 'grpc')
  const traceId = serveOne(tracing)
  await tracing.shutdown()

  const { body } = await collector.first
  expect(body.includes(Buffer.from(traceId, 'hex'))).toBe(true)
  for (const text of ['service.name', 'catalog-v1', 'http.response.status_code']) expect(body.includes(text)).toBe(true)
  expect(tracing.exported()).toBe(1)
})

test('a collector that is away is noted as lost spans and holds up neither requests nor the end', async () => {
  const collector = await startHttpCollector()
  await collector[Symbol.asyncDispose]()
  await using tracing = await startTracing(collector.endpoint, 'http')
  const startedAt = systemClock.now()
  serveOne(tracing)
  await tracing.shutdown()

  expect(systemClock.now() - startedAt).toBeLessThan(6000)
  expect(tracing.exported()).toBe(0)
})

test('nothing of OpenTelemetry stays registered for the process', async () => {
  await using collector = await startHttpCollector()
  await using tracing = await startTracing(collector.endpoint, 'http')
  serveOne(tracing)

  expect(trace.getTracer('other').startSpan('other').isRecording()).toBe(false)
  expect(context.active()).toBe(ROOT_CONTEXT)
  expect(propagation.fields()).toEqual([])
})
