import { expect, test } from 'vitest'
import { grpcStatusOf, isGrpcCall } from './grpc.ts'

test.each([
  ['application/grpc', true],
  ['application/grpc+proto', true],
  ['application/grpc;charset=utf-8', true],
  ['application/grpc-web', false],
  ['application/grpc-web+proto', false],
  ['application/json', false],
])('content-type %s is a call of gRPC: %s', (type, expected) => {
  expect(isGrpcCall([':method', 'POST', 'content-type', type])).toBe(expected)
})

test('without a content-type a request is no call', () => {
  expect(isGrpcCall([':method', 'POST'])).toBe(false)
})

test.each([
  ['0', 0],
  ['14', 14],
  ['', null],
  ['-1', null],
  ['1e1', null],
  ['99999', null],
])('grpc-status "%s" is read as %s', (text, expected) => {
  expect(grpcStatusOf(['grpc-status', text])).toBe(expected)
})

test('trailers without a status tell none', () => {
  expect(grpcStatusOf(['x-sum', '1'])).toBeNull()
})
