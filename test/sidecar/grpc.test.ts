// gRPC by grpc-js through two sidecars: every kind of call, deadlines, trailers, balancing, what the mesh itself says.
import { status } from '@grpc/grpc-js'
import { describe, expect, test } from 'vitest'
import { type GrpcApp, type GrpcClient, grpcClient, startGrpcApp } from '../support/grpc-echo.ts'
import { closeAfterTest, kept, pairFor } from '../support/http2-pair.ts'
import type { Pair } from '../support/pair.ts'

const app = (name = 'one'): Promise<GrpcApp> => kept(startGrpcApp(name))

function clientOf(pair: Pair): GrpcClient {
  const client = grpcClient(`127.0.0.1:${pair.port}`)
  closeAfterTest({ [Symbol.asyncDispose]: async () => client[Symbol.dispose]() })
  return client
}

const requests = (events: Pair['events']['client']) => events.filter((event) => event.kind === 'request')

describe('calls', () => {
  test('a unary call brings metadata, message and trailers both ways', async () => {
    const pair = await pairFor({ application: (await app()).port })
    const reply = await clientOf(pair).unary('hello')

    expect(reply).toMatchObject({ code: status.OK, message: 'one hello 7' })
    expect(reply.metadata.get('x-name')).toEqual(['one'])
    expect(reply.trailers.get('x-trailer')).toEqual(['one'])
    const told = { method: 'POST', path: '/weft.test.Echo/Unary', status: 200, grpcStatus: 0, version: '2' }
    expect(requests(pair.events.client)).toMatchObject([told])
    expect(requests(pair.events.server)).toMatchObject([told])
  })

  test('a call that fails has its status, details and trailers, and both sidecars know', async () => {
    const pair = await pairFor({ application: (await app()).port })
    const reply = await clientOf(pair).unary('fail 5 no such thing: 100 % sure')

    expect(reply).toMatchObject({ code: status.NOT_FOUND, details: 'no such thing: 100 % sure' })
    expect(reply.trailers.get('x-trailer')).toEqual(['one'])
    expect(requests(pair.events.client)).toMatchObject([{ status: 200, grpcStatus: 5 }])
    expect(requests(pair.events.server)).toMatchObject([{ status: 200, grpcStatus: 5 }])
  })

  test('streams of the client, of the server and of both arrive in order and whole', async () => {
    const pair = await pairFor({ application: (await app()).port })
    const client = clientOf(pair)
    const chat = client.chat()
    const heard: string[] = []
    const over = new Promise((resolve) => chat.on('end', resolve))
    chat.on('data', (part: string) => {
      heard.push(part)
      if (heard.length < 5) chat.write(`${heard.length}`)
      else chat.end()
    })
    chat.write('0')

    expect(await client.collect(['a', 'b', 'c'])).toBe('a+b+c')
    expect(await client.expand(500)).toEqual(Array.from({ length: 500 }, (_, i) => `${i}`))
    await over
    expect(heard).toEqual(['one 0', 'one 1', 'one 2', 'one 3', 'one 4'])
  })

  test('a deadline ends the call at the client and at the server', async () => {
    const pair = await pairFor({ application: (await app()).port })
    const reply = await clientOf(pair).unary('never', { deadline: Date.now() + 300 })

    expect(reply.code).toBe(status.DEADLINE_EXCEEDED)
  })
})

describe('between replicas', () => {
  test('calls of one connection are balanced one by one', async () => {
    const [one, two] = [await app('one'), await app('two')]
    const pair = await pairFor({ application: one.port, replicas: [two.port] })
    const client = clientOf(pair)
    for (let i = 0; i < 20; i++) await client.unary(`${i}`)

    expect([one.calls(), two.calls()]).toEqual([10, 10])
    expect(pair.client.serving.outbound.count().connections).toBe(1)
  })

  test('a call that a replica refuses is tried on the other where the policy names the status', async () => {
    const [one, two] = [await app('one'), await app('two')]
    const { policy } = (await pairFor({ application: 1 })).destination.current
    const retries = { ...policy.retries, attempts: 1, grpcStatuses: [status.UNAVAILABLE] }
    const pair = await pairFor({
      application: one.port,
      replicas: [two.port],
      config: { policy: { ...policy, retries } },
    })
    const replies = await Promise.all([0, 1].map((i) => clientOf(pair).unary(`once ${i}`)))

    // Each replica refuses a key once: the second try of a call finds the other one refusing too.
    expect(replies.map(({ code }) => code)).toEqual([status.UNAVAILABLE, status.UNAVAILABLE])
    expect((await clientOf(pair).unary('once 0')).code).toBe(status.OK)
    expect(requests(pair.events.client)).toMatchObject([{ attempts: 2 }, { attempts: 2 }, { attempts: 1 }])
  })

  test('a call that never reached an application is tried on the other whatever the policy', async () => {
    const two = await app('two')
    const pair = await pairFor({ application: 1, replicas: [two.port] })
    const client = clientOf(pair)
    const replies = [await client.unary('a'), await client.unary('b')]

    expect(replies.map(({ code, message }) => [code, message])).toEqual([
      [status.OK, 'two a 7'],
      [status.OK, 'two b 7'],
    ])
  })
})

describe('what the mesh says itself', () => {
  test('is a status of gRPC with the reason', async () => {
    const pair = await pairFor({ application: 1 })
    const reply = await clientOf(pair).unary('hello')

    expect(reply.code).toBe(status.UNAVAILABLE)
    expect(reply.details).toMatch(/^weft: CONNECT_FAILED: /)
    expect(reply.trailers.get('x-weft-reason')).toEqual(['CONNECT_FAILED'])
    expect(requests(pair.events.client)).toMatchObject([{ status: 200, grpcStatus: 14 }])
    // Twice: that it never arrived is reason enough to try again.
    const told = { status: 200, grpcStatus: 14, reason: 'CONNECT_FAILED' }
    expect(requests(pair.events.server)).toMatchObject([told, told])
  })

  test('is DEADLINE_EXCEEDED where the policy has a timeout', async () => {
    const { policy } = (await pairFor({ application: 1 })).destination.current
    const config = { policy: { ...policy, requestTimeoutMs: 100 } }
    const pair = await pairFor({ application: (await app()).port, config })
    const reply = await clientOf(pair).unary('never')

    expect(reply).toMatchObject({ code: status.DEADLINE_EXCEEDED })
    expect(reply.details).toMatch(/REQUEST_TIMEOUT/)
  })
})
