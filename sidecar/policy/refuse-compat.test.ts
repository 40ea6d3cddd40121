import { expect, test } from 'vitest'
import { RecordingExchange } from './exchange.fixture.ts'
import { refuseCompat } from './refuse-compat.ts'

const verdictOn = (method: string, hasBody: boolean, request: string[] = []) => {
  const recording = new RecordingExchange(method)
  Object.assign(recording.exchange, { hasBody, request })
  return { verdict: refuseCompat.onRequest?.(recording.exchange), failures: recording.failures }
}

test.each(['GET', 'HEAD', 'OPTIONS'])('a body of %s is refused, and without one it passes', (method) => {
  expect(verdictOn(method, true)).toEqual({ verdict: 'answered', failures: [['COMPAT_BODY', undefined]] })
  expect(verdictOn(method, false)).toEqual({ verdict: 'continue', failures: [] })
})

test('a body of any other method passes', () => {
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) expect(verdictOn(method, true).verdict).toBe('continue')
})

test.each(['application/grpc', 'application/grpc+proto', 'Application/GRPC-Web'])('%s is refused', (type) => {
  const { failures } = verdictOn('POST', true, ['Content-Type', type])
  expect(failures).toEqual([['COMPAT_GRPC', undefined]])
})
