import { expect, test } from 'vitest'
import { FAULTS, type FaultCode } from '#flow/error.ts'
import { fieldValue } from '#flow/fields.ts'
import { answerFault } from './answer-faults.ts'

const codes = Object.keys(FAULTS) as FaultCode[]

test.each(codes)('%s is answered with its status, its code, what happened and what to do', (code) => {
  const { head, body } = answerFault(code, false)
  expect(head[0]).toBe(':status')
  expect(Number(head[1])).toBe(FAULTS[code].status || 503)
  expect(fieldValue(head, 'x-weft-reason')).toBe(code)
  expect(Number(fieldValue(head, 'content-length'))).toBe(body.length)
  const text = Buffer.from(body).toString()
  expect(text).toContain(FAULTS[code].text)
  expect(text).toContain(FAULTS[code].fix)
})

test('the text of an answer is exact', () => {
  expect(Buffer.from(answerFault('BREAKER_OPEN', false).body).toString()).toBe(
    'weft: BREAKER_OPEN: the circuit breaker of the service is open\n' +
      'The service failed too often; it is tried again after circuitBreaker.resetTimeout.\n',
  )
})

test.each(codes)('a call of gRPC is told of %s by a status of gRPC, in a head that is all there is', (code) => {
  const { head, body } = answerFault(code, true)
  expect(head.slice(0, 6)).toEqual([
    ':status',
    '200',
    'content-type',
    'application/grpc',
    'grpc-status',
    String(FAULTS[code].grpc),
  ])
  expect(fieldValue(head, 'x-weft-reason')).toBe(code)
  expect(body.length).toBe(0)
  const message = fieldValue(head, 'grpc-message') ?? ''
  expect(message).toMatch(/^[ -~]+$/)
  expect(decodeURIComponent(message)).toBe(`weft: ${code}: ${FAULTS[code].text}. ${FAULTS[code].fix}`)
})
