import { expect, test } from 'vitest'
import { createLog, type Log } from '#shared/log.ts'
import { requestEnded } from './event.fixture.ts'
import { fanOut } from './observe.ts'

test('a sink that throws hurts neither the caller nor the other sinks, and is told once a minute', () => {
  let at = 0
  let errors = 0
  const log = createLog('test', 'silent')
  log.error = (() => void errors++) as Log['error']
  const seen: string[] = []
  const observe = fanOut(
    [
      () => void seen.push('first'),
      () => {
        throw new Error('broken sink')
      },
      () => void seen.push('last'),
    ],
    log,
    () => at,
  )

  observe(requestEnded())
  observe(requestEnded())
  expect(errors).toBe(1)
  at = 60_000
  observe(requestEnded())

  expect(seen).toEqual(['first', 'last', 'first', 'last', 'first', 'last'])
  expect(errors).toBe(2)
})
