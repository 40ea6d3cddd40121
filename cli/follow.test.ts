import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { follow, readFrom } from './follow.ts'
import { lastLines, rotateLogs } from './up/logs.ts'

const scratch = mkdtempSync(join(tmpdir(), 'weft-follow-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

test('only whole lines are read, and the next read goes on after them', () => {
  const path = join(scratch, 'a.log')
  writeFileSync(path, 'one\ntwo\nthr')
  const first = readFrom(path, 0)
  expect(first.lines).toEqual(['one', 'two'])
  appendFileSync(path, 'ee\n')
  expect(readFrom(path, first.offset).lines).toEqual(['three'])
  expect(readFrom(join(scratch, 'none.log'), 0)).toEqual({ lines: [], offset: 0 })
})

test('a log that grows is followed, also after it was cut', async () => {
  const path = join(scratch, 'b.log')
  writeFileSync(path, 'old line that is not followed\n')
  const stop = new AbortController()
  const seen: string[] = []
  const following = follow(
    path,
    readFrom(path, 0).offset,
    (lines) => {
      seen.push(...lines)
      if (seen.length === 1) {
        truncateSync(path)
        appendFileSync(path, 'cut\n')
      } else stop.abort()
    },
    stop.signal,
  )
  appendFileSync(path, 'new\n')
  await following
  expect(seen).toEqual(['new', 'cut'])
})

test('a log above the limit is moved aside and cut, and an append goes on in the same file', () => {
  const directory = mkdtempSync(join(scratch, 'rotate-'))
  const path = join(directory, 'big.log')
  writeFileSync(path, 'x'.repeat(101))
  writeFileSync(join(directory, 'small.log'), 'y'.repeat(100))
  rotateLogs(directory, 100)
  appendFileSync(path, 'after\n')
  expect(readFileSync(`${path}.1`, 'utf8')).toBe('x'.repeat(101))
  expect(readFileSync(path, 'utf8')).toBe('after\n')
  expect(readFileSync(join(directory, 'small.log'), 'utf8')).toHaveLength(100)
})

test('the last lines of a log are told, of one that is not there none', () => {
  const path = join(scratch, 'c.log')
  writeFileSync(path, '1\n2\n3\n')
  expect(lastLines(path, 2)).toEqual(['2', '3'])
  expect(lastLines(join(scratch, 'none.log'), 2)).toEqual([])
})
