import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createLineWriter } from './line-writer.ts'

test('lines reach the file in order', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-lines-'))
  const path = join(folder, 'log')
  const fd = openSync(path, 'w')
  try {
    const writer = createLineWriter(fd)
    for (let i = 0; i < 1000; i++) writer.write(`${i}\n`)
    await writer.flushed()

    expect(readFileSync(path, 'utf8')).toBe(Array.from({ length: 1000 }, (_, i) => `${i}\n`).join(''))
    expect(writer.dropped()).toBe(0)
  } finally {
    closeSync(fd)
    rmSync(folder, { recursive: true })
  }
})

test('a reader that has stopped costs lines, not memory and not time', async () => {
  const held: (() => void)[] = []
  const taken: string[] = []
  const writer = createLineWriter(1, {
    maxWaitingBytes: 8,
    writeBytes(_fd, bytes, done) {
      taken.push(Buffer.from(bytes).toString())
      held.push(() => done(null, bytes.length))
    },
  })
  writer.write('a\n')
  writer.write('bbb\n')
  writer.write('ccc\n')
  writer.write('d\ne\n')
  expect(writer.dropped()).toBe(2)
  const flushed = writer.flushed()
  held[0]?.()
  await new Promise(setImmediate)
  held[1]?.()
  await flushed

  expect(taken).toEqual(['a\n', 'bbb\nccc\n'])
})

test('a write that takes only a part goes on with the rest, and one that fails is counted', async () => {
  const taken: string[] = []
  const answers: (number | Error)[] = [2, Object.assign(new Error('busy'), { code: 'EAGAIN' }), 2, new Error('EPIPE')]
  const writer = createLineWriter(1, {
    writeBytes(_fd, bytes, done) {
      taken.push(Buffer.from(bytes).toString())
      const answer = answers.shift() ?? bytes.length
      if (typeof answer === 'number') done(null, answer)
      else done(answer, 0)
    },
  })
  writer.write('abc\n')
  await writer.flushed()
  writer.write('x\ny\n')
  await writer.flushed()

  expect(taken).toEqual(['abc\n', 'c\n', 'c\n', 'x\ny\n'])
  expect(writer.dropped()).toBe(2)
})
