import { expect, test } from 'vitest'
import { endToEnd, upgradeOf } from './hop-headers.ts'

test('fields of one hop and those that Connection names do not travel', () => {
  const fields = [
    ':method',
    'GET',
    'Connection',
    'close, X-Secret',
    'x-secret',
    '1',
    'Keep-Alive',
    '5',
    'Accept',
    '*/*',
  ]

  expect(endToEnd(fields, false)).toEqual([':method', 'GET', 'Accept', '*/*'])
})

test('Connection cannot take away what a message needs', () => {
  expect(
    endToEnd(['connection', 'content-length, host, cookie', 'content-length', '3', 'cookie', 'a=b'], false),
  ).toEqual(['content-length', '3', 'cookie', 'a=b'])
})

test('TE travels only as trailers, and a claim of a client certificate never does', () => {
  expect(endToEnd(['te', 'trailers', 'x-forwarded-client-cert', 'By=me'], false)).toEqual(['te', 'trailers'])
  expect(endToEnd(['te', 'gzip'], false)).toEqual([])
})

test('an upgrade is one only when Connection says so, and h2c never', () => {
  expect(upgradeOf(['Connection', 'keep-alive, Upgrade', 'Upgrade', 'websocket'])).toBe('websocket')
  expect(upgradeOf(['Upgrade', 'websocket'])).toBeNull()
  expect(upgradeOf(['Connection', 'Upgrade', 'Upgrade', 'h2c'])).toBeNull()
  expect(endToEnd(['Connection', 'Upgrade', 'Upgrade', 'websocket'], true)).toEqual(['Upgrade', 'websocket'])
})

test.each(['X-Forwarded-Client-Cert', 'X_Forwarded_Client_Cert', 'x-forwarded_client-cert', 'X.Forwarded+Client.Cert'])(
  'a claim of a client certificate does not travel as %s, which some servers read alike',
  (name) => {
    expect(endToEnd([name, 'By=me', 'x-forwarded-client-certs', 'other'], false)).toEqual([
      'x-forwarded-client-certs',
      'other',
    ])
  },
)
