import { expect, test } from 'vitest'
import { count, flag, list, milliseconds, oneOf, parseDuration, port, readSettings, text } from './settings.ts'

const DECLARED = {
  inboundPort: port('PORT', '15006', ''),
  drainTimeoutMs: milliseconds('DRAIN', '30s', ''),
  workers: count('WORKERS', '1', ''),
  verbose: flag('VERBOSE', 'false', ''),
  files: list('FILES', '', ''),
  level: oneOf('info', 'debug')('LEVEL', 'info', ''),
  name: text('NAME', 'weft', ''),
}

test('what the environment does not say has its default', () => {
  expect(readSettings(DECLARED, {})).toEqual({
    inboundPort: 15006,
    drainTimeoutMs: 30_000,
    workers: 1,
    verbose: false,
    files: [],
    level: 'info',
    name: 'weft',
  })
})

test('the environment wins over the default', () => {
  const read = readSettings(DECLARED, { PORT: '8080', VERBOSE: 'true', FILES: 'a, b', LEVEL: 'debug', DRAIN: '1m30s' })
  expect(read).toMatchObject({
    inboundPort: 8080,
    verbose: true,
    files: ['a', 'b'],
    level: 'debug',
    drainTimeoutMs: 90_000,
  })
})

test('every mistake is reported at once, with what was found and what would be right', () => {
  const read = () => readSettings(DECLARED, { PORT: 'x', DRAIN: 'soon', VERBOSE: 'yes', LEVEL: 'loud', WORKERS: '-1' })
  expect(read).toThrow(
    [
      'PORT=x: want a port, 1 to 65535',
      'DRAIN=soon: want a duration such as 200ms, 30s or 1h',
      'WORKERS=-1: want a whole number',
      'VERBOSE=yes: want true or false',
      'LEVEL=loud: want one of info, debug',
    ].join('\n'),
  )
})

test('settings cannot change after they were read', () => {
  expect(Object.isFrozen(readSettings(DECLARED, {}))).toBe(true)
})

test.each([
  ['0s', 0],
  ['200ms', 200],
  ['1h30m', 5_400_000],
  ['1h1m1s1ms', 3_661_001],
])('the duration %s is %d ms', (spelling, ms) => {
  expect(parseDuration(spelling)).toBe(ms)
})

test.each(['', '1', '1.5s', '-1s', '1 s', '1d', '123456s', '1h1m1s1ms1s', 's'])('"%s" is no duration', (spelling) => {
  expect(parseDuration(spelling)).toBeUndefined()
})

test.each(['0', '65536', '8080x', ' 80', '1e3'])('"%s" is no port', (spelling) => {
  expect(port('P', '1', '').parse(spelling)).toBeUndefined()
})

test.each(['toString', 'constructor', '__proto__'])('"%s" is neither true nor false', (spelling) => {
  expect(() => readSettings({ a: flag('A', 'true', '') }, { A: spelling })).toThrow('want true or false')
})
