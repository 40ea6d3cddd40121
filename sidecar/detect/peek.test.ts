import { duplexPair } from 'node:stream'
import { expect, test } from 'vitest'
import { peek } from './peek.ts'
import { judge } from './protocol.ts'

const signal = new AbortController().signal

test('the bytes that were read are handed on and the rest follows in the stream', async () => {
  const [near, far] = duplexPair()
  far.write('GET / HT')
  const peeked = peek(near, { judge, waitMs: 1000, signal })
  far.write('TP/1.1\r\nHost')

  const { verdict, head } = await peeked
  far.write(': a')
  const rest = await new Promise<Buffer>((resolve) => near.once('data', resolve))

  expect(verdict).toBe('http/1.1')
  expect(head.toString() + rest.toString()).toBe('GET / HTTP/1.1\r\nHost: a')
})

test('silence ends a peek without a verdict and without an end', async () => {
  const [near] = duplexPair()

  expect(await peek(near, { judge, waitMs: 5, signal })).toMatchObject({ verdict: null, isEnded: false })
})

test('a peer that goes away ends a peek', async () => {
  const [near, far] = duplexPair()
  far.end()

  expect(await peek(near, { judge, waitMs: Number.POSITIVE_INFINITY, signal })).toMatchObject({ isEnded: true })
})

test('a peek that is called off returns what it had read', async () => {
  const [near, far] = duplexPair()
  const callOff = new AbortController()
  far.write('GE')
  const peeked = peek(near, { judge, waitMs: Number.POSITIVE_INFINITY, signal: callOff.signal })
  await new Promise((resolve) => setImmediate(resolve))
  callOff.abort()

  expect((await peeked).head.toString()).toBe('GE')
})
