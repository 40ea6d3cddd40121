import { Duplex } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { beforeEach, describe, expect, test } from 'vitest'
import { FlowError } from '#flow/error.ts'
import type { HttpStream, SharedClientConnection, StreamEvents } from '#flow/stream.ts'
import type { Endpoint } from '#flow/upstream.ts'
import { ManualClock } from '#shared/clock.ts'
import { createHttp2Pool, type Http2Pool } from './http2-pool.ts'
import type { Dialled } from './shared-connections.ts'

const SILENT: StreamEvents = { onHead() {}, onData() {}, onTrailers() {}, onReset() {}, onDrain() {} }
const endpoint: Endpoint = { address: { host: '10.0.0.1', port: 80 }, weight: 1, identity: null, pod: 'a' }

/** A connection whose streams are only counted. */
class Counted implements SharedClientConnection {
  onIdle = () => {}
  onCapacity = () => {}
  onLeaving = () => {}
  onGone = () => {}
  active = 0
  maxActive = 10
  bulk = 0
  isLeaving = false
  isEnded = false

  get capacity(): number {
    return this.isLeaving ? 0 : this.maxActive - this.active
  }
  get isIdle(): boolean {
    return this.active === 0
  }
  open(): HttpStream {
    this.active++
    return {} as HttpStream
  }
  /** One of its streams is over. */
  close(): void {
    this.active--
    this.onCapacity()
    if (this.active === 0) this.onIdle()
    if (this.active === 0 && this.isLeaving) this.destroy()
  }
  drain(): void {
    this.isLeaving = true
    if (this.active === 0) this.destroy()
  }
  destroy(): void {
    if (this.isEnded) return
    this.isLeaving = this.isEnded = true
    this.onGone()
  }
}

let clock: ManualClock
let made: Counted[]
let dials: { done(dialled?: Dialled): void; fail(error: FlowError): void }[]
let maxActive: number
let pool: Http2Pool

beforeEach(() => {
  clock = new ManualClock()
  made = []
  dials = []
  maxActive = 10
  pool = createHttp2Pool({
    connect: () =>
      new Promise((resolve, reject) => {
        dials.push({ done: (dialled = { stream: new Duplex() }) => resolve(dialled), fail: reject })
      }),
    open: () => {
      const connection = new Counted()
      connection.maxActive = maxActive
      made.push(connection)
      return connection
    },
    idleMs: 90_000,
    lifetimeMs: () => 3_600_000,
    mostForBulk: 3,
    clock,
  })
  pool.use(endpoint)
})

/** What a request got: a connection's place in `made`, or why there is none; undefined while it waits. */
interface Got {
  at?: number
  fault?: string
  isReused?: boolean
  cancel(): void
}

function ask(): Got {
  const got: Got = { cancel: () => {} }
  got.cancel = pool.acquire(
    endpoint,
    (error, connection, isReused) => {
      if (error !== null) got.fault = error.code
      if (connection === null) return
      got.at = made.indexOf(connection as Counted)
      got.isReused = isReused
      connection.open(SILENT)
    },
    1000,
  )
  return got
}

async function dialled(dial = dials.at(-1), given?: Dialled): Promise<void> {
  dial?.done(given)
  await setImmediate()
}

describe('one connection', () => {
  test('is dialled once for all that ask at the same time, and serves them and those that follow', async () => {
    const first = [ask(), ask(), ask()]
    expect(dials).toHaveLength(1)
    await dialled()

    expect(first.map(({ at }) => at)).toEqual([0, 0, 0])
    expect(ask()).toMatchObject({ at: 0, isReused: true })
    expect(dials).toHaveLength(1)
  })

  test('that cannot be had fails all that waited for it, and the next one asks anew', async () => {
    const waiting = [ask(), ask()]
    dials[0]?.fail(new FlowError('CONNECT_TIMEOUT'))
    await setImmediate()

    expect(waiting.map(({ fault }) => fault)).toEqual(['CONNECT_TIMEOUT', 'CONNECT_TIMEOUT'])
    ask()
    expect(dials).toHaveLength(2)
  })

  test('whose asker has gone serves the next', async () => {
    const gone = ask()
    gone.cancel()
    await dialled()

    expect(gone.at).toBeUndefined()
    expect(ask().at).toBe(0)
  })

  test('ends after it was idle for the time', async () => {
    ask()
    await dialled()
    made[0]?.close()
    clock.advance(89_999)
    expect(made[0]?.isEnded).toBe(false)
    clock.advance(1)

    expect(made[0]?.isEnded).toBe(true)
    expect(pool.stats()).toMatchObject({ connections: 0, opened: 1 })
  })

  test('never ends for idleness while it carries something', async () => {
    ask()
    await dialled()
    clock.advance(1_000_000)

    expect(made[0]?.isEnded).toBe(false)
  })
})

describe('a further connection', () => {
  test('is made ready at 80 % of what the endpoint allows, before anybody must wait', async () => {
    for (let i = 0; i < 7; i++) ask()
    await dialled()
    expect(dials).toHaveLength(1)
    expect(ask().at).toBe(0)
    expect(dials).toHaveLength(2)
    await dialled()

    expect([ask().at, ask().at, ask().at]).toEqual([0, 0, 1])
  })

  test('is dialled for those that find no room, and room that comes earlier serves them', async () => {
    maxActive = 1
    ask()
    await dialled()
    const waiting = ask()
    made[0]?.close()

    expect(waiting.at).toBe(0)
  })

  test('is dialled as often as those that wait need it', async () => {
    maxActive = 2
    const waiting = Array.from({ length: 5 }, ask)
    await dialled()
    await dialled()
    await dialled()

    expect(waiting.map(({ at }) => at)).toEqual([0, 0, 1, 1, 2])
  })

  test('that takes nothing at all fails those that wait, instead of being dialled for ever', async () => {
    maxActive = 0
    const waiting = ask()
    await dialled()

    expect(waiting.fault).toBe('CONNECT_FAILED')
    expect(dials).toHaveLength(1)
  })
})

/** The first connection, and a request on it whose body is long. */
async function besideBulk(): Promise<Counted> {
  ask()
  await dialled()
  const [first] = made
  if (first === undefined) throw new Error('nothing was dialled')
  first.bulk = 1
  return first
}

describe('while long bodies pass on a connection', () => {
  test('a request has a further one dialled and does not wait for it; the next ones go there', async () => {
    await besideBulk()
    expect(ask().at).toBe(0)
    expect(dials).toHaveLength(2)
    await dialled()

    expect([ask().at, ask().at]).toEqual([1, 1])
    expect(dials).toHaveLength(2)
  })

  test('as many are made as were allowed, and then the one with the fewest bodies is taken', async () => {
    await besideBulk()
    for (const bulk of [1, 2]) {
      ask()
      await dialled()
      Object.assign(made.at(-1) ?? {}, { bulk })
    }
    Object.assign(made[0] ?? {}, { bulk: 3 })

    expect([ask().at, ask().at]).toEqual([1, 1])
    expect(dials).toHaveLength(3)
  })

  test('requests go back to the first when it carries none, and the further one ends after it was idle', async () => {
    const first = await besideBulk()
    ask()
    await dialled()
    ask()
    first.bulk = 0
    expect(ask().at).toBe(0)
    made[1]?.close()
    clock.advance(90_000)

    expect([made[1]?.isEnded, first.isEnded]).toEqual([true, false])
    expect(pool.stats()).toMatchObject({ connections: 1, opened: 2 })
  })

  test('a further one that cannot be had fails nobody, and is tried again after a second', async () => {
    await besideBulk()
    const beside = ask()
    dials.at(-1)?.fail(new FlowError('CONNECT_TIMEOUT'))
    await setImmediate()
    expect(ask()).toMatchObject({ at: 0 })
    expect(beside).toMatchObject({ at: 0 })
    expect(dials).toHaveLength(2)
    clock.advance(1000)
    ask()

    expect(dials).toHaveLength(3)
  })

  test('further ones are renewed like the first', async () => {
    await besideBulk()
    ask()
    await dialled()
    ask()
    pool.renew()
    const next = ask()
    await dialled()

    expect(next.at).toBe(2)
    made[1]?.close()
    expect(made[1]?.isEnded).toBe(true)
  })

  test('a request that finds no room elsewhere goes beside them rather than wait', async () => {
    maxActive = 2
    await besideBulk()
    ask()
    await dialled()
    made[0]?.close()
    for (let i = 0; i < 2; i++) ask()

    expect(ask().at).toBe(0)
  })
})

describe('a connection takes no more requests, and ends when it carries none', () => {
  test.each([
    ['when the endpoint says that it goes away', () => void Object.assign(made[0] ?? {}, { isLeaving: true })],
    ['at the end of its time', () => clock.advance(3_600_000)],
    ['after a change of identity', () => pool.renew()],
  ])('%s', async (_, change) => {
    ask()
    await dialled()
    change()
    const next = ask()
    await dialled()

    expect(next.at).toBe(1)
    expect(made[0]?.isEnded).toBe(false)
    made[0]?.close()
    expect(made[0]?.isEnded).toBe(true)
  })

  test('when the certificate that the endpoint has shown ends', async () => {
    ask()
    await dialled(dials[0], { stream: new Duplex(), expiresAt: new Date(clock.wall() + 5000) })
    made[0]?.close()
    clock.advance(4999)
    expect(made[0]?.isEnded).toBe(false)
    clock.advance(1)

    expect(made[0]?.isEnded).toBe(true)
  })

  test('that was dialled under an older identity serves those that waited, and nobody else', async () => {
    const waiting = ask()
    pool.renew()
    await dialled()
    expect(waiting.at).toBe(0)

    expect(ask().at).toBeUndefined()
    expect(dials).toHaveLength(2)
  })

  test('when its endpoint is gone, but not while another user has it', async () => {
    pool.use(endpoint)
    ask()
    await dialled()
    pool.release(endpoint)
    expect(ask().at).toBe(0)
    made[0]?.close()
    pool.release(endpoint)
    expect(made[0]?.isEnded).toBe(false)
    made[0]?.close()

    expect(made[0]?.isEnded).toBe(true)
  })

  test('when a request asks for an endpoint that nobody uses: it has a connection to itself', async () => {
    pool.release(endpoint)
    const first = ask()
    await dialled()
    const second = ask()
    await dialled()

    expect([first.at, second.at]).toEqual([0, 1])
    made[0]?.close()
    expect(made[0]?.isEnded).toBe(true)
  })
})

test('a connection that is lost is not used again', async () => {
  ask()
  await dialled()
  made[0]?.destroy()
  const next = ask()
  await dialled()

  expect(next.at).toBe(1)
  expect(pool.stats()).toEqual({ connections: 1, dialling: 0, opened: 2, active: 1 })
})
