import { duplexPair } from 'node:stream'
import { expect, test } from 'vitest'
import { BufferPool } from './buffer-pool.ts'

test('a buffer that was given back is used again', () => {
  const pool = new BufferPool(1000, 2)
  const buffer = pool.take()
  pool.giveBack(buffer)

  expect(buffer).toHaveLength(1000)
  expect(pool.take()).toBe(buffer)
})

test('two that are in use are never the same', () => {
  const pool = new BufferPool(1000, 2)
  pool.giveBack(pool.take())

  expect(pool.take()).not.toBe(pool.take())
})

test('of those that nobody uses no more are kept than was said', () => {
  const pool = new BufferPool(1000, 2)
  const buffers = [pool.take(), pool.take(), pool.take()]
  for (const buffer of buffers) pool.giveBack(buffer)

  const again = [pool.take(), pool.take(), pool.take()]
  expect(again.filter((buffer) => buffers.includes(buffer))).toHaveLength(2)
})

test('what a stream within the process holds unread is never written over', async () => {
  const pool = new BufferPool(1000, 2)
  const write = async (letter: string) => {
    const [reader, writer] = duplexPair()
    const buffer = pool.take().fill(letter)
    await new Promise<void>((resolve) => pool.write(writer, buffer, 900, resolve))
    return reader
  }
  const first = await write('a')
  await write('b')

  expect(String(first.read())).toBe('a'.repeat(900))
})
