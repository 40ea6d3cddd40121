import { expect, test } from 'vitest'
import { run } from './system.ts'

test('what a program prints is returned, and it is given its input', async () => {
  expect(await run(['cat'], 'text')).toBe('text')
})

test('a program that fails is told with what it said, one that cannot be found by its name', async () => {
  await expect(run(['sh', '-c', 'echo no such link >&2; exit 1'])).rejects.toThrow(
    'sh -c echo no such link >&2; exit 1: no such link',
  )
  await expect(run(['no-such-program'])).rejects.toThrow('no-such-program: spawn no-such-program ENOENT')
})

test('one that does not end in time is ended, and that is told', async () => {
  await expect(run(['sleep', '1000'], '', 50)).rejects.toThrow('sleep 1000: it did not end within 0.05 s')
})
