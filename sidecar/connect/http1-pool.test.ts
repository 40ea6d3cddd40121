import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { FlowError } from '#flow/error.ts'
import type { HttpClientConnection, HttpStream } from '#flow/stream.ts'
import type { Endpoint } from '#flow/upstream.ts'
import { ManualClock } from '#shared/clock.ts'
import { createHttp1Pool } from './http1-pool.ts'

const endpoint: Endpoint = { address: { host: '10.0.0.1', port: 80 }, weight: 1, identity: null, pod: 'one' }
const other: Endpoint = { address: { host: '10.0.0.2', port: 80 }, weight: 1, identity: null, pod: 'two' }

/** Stands in for the codec: opens at most one request, and the test says when it is over or gone. */
class FakeConnection implements HttpClientConnection {
  isIdle = true
  isDestroyed = false
  isLeaving = false
  onIdle = () => {}
  onCapacity = () => {}
  onLeaving = () => {}
  onGone = () => {}

  get capacity(): number {
    return this.isIdle ? 1 : 0
  }

  get active(): number {
    return this.isIdle ? 0 : 1
  }

  open(): HttpStream {
    if (!this.isIdle) throw new Error('opened while in use')
    this.isIdle = false
    return {} as HttpStream
  }

  finish(): void {
    this.isIdle = true
    this.onIdle()
  }

  /** As when the far side closes. */
  go(): void {
    this.isIdle = false
    this.onGone()
  }

  drain(): void {
    this.isLeaving = true
  }

  destroy(): void {
    this.isIdle = false
    this.isDestroyed = true
  }
}

interface Got {
  error: FlowError | null
  connection: FakeConnection | null
  isReused: boolean
}

function start(options: { idleMs?: number; maxIdlePerEndpoint?: number; isBornDead?: boolean } = {}) {
  const clock = new ManualClock()
  const dials: { resolve(): Promise<FakeConnection>; reject(error: Error): Promise<void>; endpoint: Endpoint }[] = []
  const opened: FakeConnection[] = []
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve))
  const pool = createHttp1Pool({
    idleMs: 60_000,
    ...options,
    clock,
    open: () => {
      const connection = new FakeConnection()
      connection.isIdle = options.isBornDead !== true
      opened.push(connection)
      return connection
    },
    connect: (dialled) =>
      new Promise((resolve, reject) => {
        dials.push({
          endpoint: dialled,
          async resolve() {
            resolve(new PassThrough())
            await turn()
            return opened.at(-1) as FakeConnection
          },
          async reject(error) {
            reject(error)
            await turn()
          },
        })
      }),
  })
  const acquire = (from = endpoint) => {
    const got: Got = { error: null, connection: null, isReused: false }
    const cancel = pool.acquire(from, (error, connection, isReused) => {
      Object.assign(got, { error, connection, isReused })
      connection?.open({} as never)
    })
    return { got, cancel }
  }
  /** A connection that carried one request and is idle now. */
  const openIdle = async () => {
    const { got } = acquire()
    const connection = (await dials.at(-1)?.resolve()) as FakeConnection
    expect(got.connection).toBe(connection)
    connection.finish()
    return connection
  }
  return { clock, dials, pool, acquire, openIdle }
}

test('the first request is dialled for, the next reuses its connection at once', async () => {
  const { dials, acquire, pool } = start()
  const { got } = acquire()
  expect(got.connection).toBeNull()
  const connection = await dials[0]?.resolve()
  expect(got).toEqual({ error: null, connection, isReused: false })
  connection?.finish()
  expect(acquire().got).toEqual({ error: null, connection, isReused: true })
  expect(dials).toHaveLength(1)
  expect(pool.stats()).toEqual({ idle: 0, active: 1, dialling: 0, opened: 1, reused: 1 })
})

test('the connection used last is used next', async () => {
  const { acquire, dials } = start()
  acquire()
  acquire()
  const first = (await dials[0]?.resolve()) as FakeConnection
  const second = (await dials[1]?.resolve()) as FakeConnection
  second.finish()
  first.finish()
  expect(acquire().got.connection).toBe(first)
  expect(acquire().got.connection).toBe(second)
})

test('endpoints do not share connections', async () => {
  const { openIdle, acquire, dials } = start()
  await openIdle()
  expect(acquire(other).got.connection).toBeNull()
  expect(dials.at(-1)?.endpoint).toBe(other)
})

test('a waiting request takes a connection that is given back before its own is there; that one is kept', async () => {
  const { openIdle, acquire, dials, pool } = start()
  const busy = await openIdle()
  acquire()
  const waiting = acquire()
  busy.finish()
  expect(waiting.got).toEqual({ error: null, connection: busy, isReused: true })
  const spare = await dials[1]?.resolve()
  expect(pool.stats()).toMatchObject({ idle: 1, active: 1, dialling: 0 })
  expect(acquire().got.connection).toBe(spare)
})

test('a cancelled request does not waste the connection that was being made for it', async () => {
  const { acquire, dials, pool } = start()
  const { got, cancel } = acquire()
  cancel()
  const connection = await dials[0]?.resolve()
  expect(got.connection).toBeNull()
  expect(pool.stats()).toMatchObject({ idle: 1, active: 0 })
  expect(acquire().got).toEqual({ error: null, connection, isReused: true })
})

test('the connection of a cancelled request goes to the one that waits', async () => {
  const { acquire, dials } = start()
  acquire().cancel()
  const waiting = acquire()
  expect(dials).toHaveLength(1)
  const connection = await dials[0]?.resolve()
  expect(waiting.got.connection).toBe(connection)
})

test('a failed dial fails the request it was for, with its code', async () => {
  const { acquire, dials } = start()
  const { got } = acquire()
  await dials[0]?.reject(new FlowError('CONNECT_TIMEOUT'))
  expect(got.error?.code).toBe('CONNECT_TIMEOUT')
  const next = acquire()
  await dials[1]?.reject(new Error('something else'))
  expect(next.got.error?.code).toBe('CONNECT_FAILED')
})

test('a failed dial fails nobody while another dial is under way for the one that waits', async () => {
  const { acquire, dials } = start()
  const { cancel } = acquire()
  const waiting = acquire()
  cancel()
  await dials[0]?.reject(new FlowError('CONNECT_FAILED'))
  expect(waiting.got.error).toBeNull()
  const connection = await dials[1]?.resolve()
  expect(waiting.got.connection).toBe(connection)
})

test('a connection that is closed as soon as it is there is a failed dial', async () => {
  const { acquire, dials, pool } = start({ isBornDead: true })
  const { got } = acquire()
  const connection = await dials[0]?.resolve()
  expect(got.error?.code).toBe('CONNECT_FAILED')
  expect(connection?.isDestroyed).toBe(true)
  expect(pool.stats()).toMatchObject({ idle: 0, active: 0, dialling: 0 })
})

test('an idle connection is closed after idleMs, and not before', async () => {
  const { clock, openIdle, pool } = start({ idleMs: 30_000 })
  const connection = await openIdle()
  clock.advance(29_999)
  expect(connection.isDestroyed).toBe(false)
  clock.advance(1)
  expect(connection.isDestroyed).toBe(true)
  expect(pool.stats()).toMatchObject({ idle: 0, active: 0 })
})

test('use keeps a connection from growing old', async () => {
  const { clock, openIdle, acquire } = start({ idleMs: 30_000 })
  const connection = await openIdle()
  clock.advance(20_000)
  acquire()
  clock.advance(60_000)
  connection.finish()
  clock.advance(29_999)
  expect(connection.isDestroyed).toBe(false)
})

test('an idle connection that the endpoint closes is not used again', async () => {
  const { openIdle, acquire, dials, pool } = start()
  const connection = await openIdle()
  connection.go()
  expect(pool.stats()).toMatchObject({ idle: 0, active: 0 })
  expect(acquire().got.connection).toBeNull()
  expect(dials).toHaveLength(2)
})

test('an idle connection that may no longer be used, though its end was not told yet, is passed over', async () => {
  const { openIdle, acquire, pool } = start()
  const connection = await openIdle()
  connection.isIdle = false
  expect(acquire().got.connection).toBeNull()
  expect(connection.isDestroyed).toBe(true)
  expect(pool.stats()).toMatchObject({ idle: 0, active: 0, dialling: 1 })
})

test('a connection that dies in use is forgotten', async () => {
  const { acquire, dials, pool } = start()
  acquire()
  const connection = await dials[0]?.resolve()
  connection?.go()
  expect(pool.stats()).toMatchObject({ idle: 0, active: 0 })
})

test('a connection that is taken and not opened goes back', async () => {
  const { openIdle, pool } = start()
  const connection = await openIdle()
  pool.acquire(endpoint, () => {})
  expect(pool.stats()).toMatchObject({ idle: 1, active: 0 })
  expect(connection.isDestroyed).toBe(false)
})

test('no more idle connections are kept than the limit', async () => {
  const { acquire, dials, pool } = start({ maxIdlePerEndpoint: 2 })
  for (let i = 0; i < 4; i++) acquire()
  const connections: FakeConnection[] = []
  for (const dial of dials) connections.push(await dial.resolve())
  for (const connection of connections) connection.finish()
  expect(pool.stats().idle).toBe(2)
  expect(connections.filter((connection) => connection.isDestroyed)).toHaveLength(2)
})

test('a removed endpoint drains: idle connections close at once, the others after their request', async () => {
  const { acquire, dials, pool } = start()
  acquire()
  acquire()
  const busy = (await dials[0]?.resolve()) as FakeConnection
  const idle = (await dials[1]?.resolve()) as FakeConnection
  idle.finish()
  pool.dropEndpoint(endpoint)
  expect(idle.isDestroyed).toBe(true)
  expect(busy.isDestroyed).toBe(false)
  busy.finish()
  expect(busy.isDestroyed).toBe(true)
  expect(pool.stats()).toMatchObject({ idle: 0, active: 0 })
})

test('who waits for a connection to a removed endpoint still gets it', async () => {
  const { acquire, dials, pool } = start()
  const { got } = acquire()
  pool.dropEndpoint(endpoint)
  const connection = await dials[0]?.resolve()
  expect(got.connection).toBe(connection)
  connection?.finish()
  expect(connection?.isDestroyed).toBe(true)
})

test('after a rotation no request finds a connection from before it', async () => {
  const { acquire, dials, openIdle, pool } = start()
  acquire()
  const busy = (await dials[0]?.resolve()) as FakeConnection
  const idle = await openIdle()
  pool.closeIdle()
  expect(idle.isDestroyed).toBe(true)
  expect(busy.isDestroyed).toBe(false)
  busy.finish()
  expect(busy.isDestroyed).toBe(true)
  const { got } = acquire()
  expect(got.connection).toBeNull()
  const fresh = await dials[2]?.resolve()
  fresh?.finish()
  expect(fresh?.isDestroyed).toBe(false)
})

test('who waits during a rotation is not given a connection from before it', async () => {
  const { acquire, openIdle, dials, pool } = start()
  const old = await openIdle()
  acquire()
  pool.closeIdle()
  const waiting = acquire()
  old.finish()
  expect(old.isDestroyed).toBe(true)
  expect(waiting.got.connection).toBeNull()
  const fresh = await dials[1]?.resolve()
  expect(waiting.got.connection).toBe(fresh)
})

test('an endpoint that closes idle connections after five seconds is seen, and ours close before', async () => {
  const { clock, openIdle } = start()
  for (let i = 0; i < 2; i++) {
    const connection = await openIdle()
    clock.advance(5_000)
    connection.go()
  }
  const connection = await openIdle()
  clock.advance(3_999)
  expect(connection.isDestroyed).toBe(false)
  clock.advance(1)
  expect(connection.isDestroyed).toBe(true)
})

test('a closed pool keeps nothing, and still serves the requests that hold it', async () => {
  const { acquire, openIdle, dials, pool } = start()
  const idle = await openIdle()
  const busy = acquire()
  const waiting = acquire()
  pool.close()
  expect(busy.got.connection).toBe(idle)
  expect(idle.isDestroyed).toBe(false)
  const late = acquire()
  for (const dial of dials.slice(1)) await dial.resolve()
  for (const { got } of [busy, waiting, late]) {
    expect(got.error).toBeNull()
    got.connection?.finish()
    expect(got.connection?.isDestroyed).toBe(true)
  }
  expect(pool.stats()).toMatchObject({ idle: 0, active: 0, dialling: 0 })
})
