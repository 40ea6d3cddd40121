import { createServer, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { checkGrpcHealth } from './grpc-probe.ts'
import { parseProbes } from './parse-probes.ts'
import { runProbe } from './probe.ts'

const NEVER = new AbortController().signal

interface Reply {
  readonly grpcStatus: string
  /** Of the message, without its frame; null: none. */
  readonly message: readonly number[] | null
}

async function startServer(reply: Reply | null) {
  const asked: { path: unknown; body: Buffer }[] = []
  const sessions = new Set<{ destroy(): void }>()
  const server = createServer()
  server.on('session', (session) => sessions.add(session))
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    const chunks: Buffer[] = []
    stream.on('error', () => {})
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('end', () => {
      asked.push({ path: headers[':path'], body: Buffer.concat(chunks) })
      if (reply === null) return
      const head = { ':status': 200, 'content-type': 'application/grpc' }
      if (reply.message === null) {
        stream.respond({ ...head, 'grpc-status': reply.grpcStatus }, { endStream: true })
        return
      }
      stream.respond(head, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': reply.grpcStatus }))
      stream.end(Buffer.from([0, 0, 0, 0, reply.message.length, ...reply.message]))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    asked,
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

test.each([
  [[0x08, 1], 'SERVING'],
  [[0x08, 2], 'NOT_SERVING'],
  [[0x08, 3], 'SERVICE_UNKNOWN'],
  [[], 'UNKNOWN'],
])('the answer %j means %s', async (message, status) => {
  await using server = await startServer({ grpcStatus: '0', message })

  expect(await checkGrpcHealth({ host: '127.0.0.1', port: server.port, service: '' }, NEVER)).toBe(status)
  expect(server.asked).toEqual([{ path: '/grpc.health.v1.Health/Check', body: Buffer.alloc(5) }])
})

test('the service is asked for by name, also by a long one', async () => {
  await using server = await startServer({ grpcStatus: '0', message: [0x08, 1] })
  const service = 'x'.repeat(200)
  await checkGrpcHealth({ host: '127.0.0.1', port: server.port, service }, NEVER)

  expect(server.asked[0]?.body).toEqual(
    Buffer.concat([Buffer.from([0, 0, 0, 0, 203, 0x0a, 0xc8, 0x01]), Buffer.from(service)]),
  )
})

function probe(port: number, timeoutSeconds = 1) {
  const found = parseProbes(JSON.stringify({ a: { grpc: { port, service: 'shop.Cart' }, timeoutSeconds } })).get('a')
  if (found === undefined) throw new Error('no probe')
  return runProbe(found, '127.0.0.1', NEVER)
}

test('a probe succeeds where the service is serving, and nowhere else', async () => {
  await using serving = await startServer({ grpcStatus: '0', message: [0x08, 1] })
  await using broken = await startServer({ grpcStatus: '0', message: [0x08, 2] })
  await using without = await startServer({ grpcStatus: '12', message: null })

  expect(await probe(serving.port)).toEqual({ isSuccess: true, text: 'the application says SERVING' })
  expect(await probe(broken.port)).toEqual({ isSuccess: false, text: 'the application says NOT_SERVING' })
  expect(await probe(without.port)).toEqual({ isSuccess: false, text: 'the application answered with gRPC status 12' })
})

test('a server that is silent, or not there, fails within the timeout', async () => {
  const silent = await startServer(null)
  expect(await probe(silent.port, 0.1)).toEqual({ isSuccess: false, text: 'no answer within 100 ms' })
  await silent[Symbol.asyncDispose]()

  expect(await probe(silent.port)).toEqual({ isSuccess: false, text: expect.stringContaining('ECONNREFUSED') })
})
