import fc from 'fast-check'
import { expect, test } from 'vitest'
import { canonicalHost, formatAddress, parseAddress } from './address.ts'

test.each([
  ['10.0.0.1', '10.0.0.1'],
  ['FD00:0:0::1', 'fd00::1'],
  ['::ffff:10.0.0.1', '10.0.0.1'],
  ['::FFFF:10.0.0.1', '10.0.0.1'],
  ['0:0:0:0:0:0:0:1', '::1'],
])('the host %s has the one spelling %s', (host, canonical) => {
  expect(canonicalHost(host)).toBe(canonical)
})

test.each(['', 'localhost', '10.0.0', '10.0.0.256', '010.0.0.1', '::g', '10.0.0.1:80', ' 10.0.0.1'])(
  'the host "%s" is refused and named',
  (host) => {
    expect(() => canonicalHost(host)).toThrow(`"${host}" is not an IP address`)
  },
)

test.each(['10.0.0.1', '10.0.0.1:0', '10.0.0.1:65536', 'fd00::1:80', '[fd00::1]', ':80', '10.0.0.1:80 ', 'web:80'])(
  'the address "%s" is refused and named',
  (text) => {
    expect(() => parseAddress(text)).toThrow(TypeError)
  },
)

test('an address read from its spelling is the same address', () => {
  const hosts = fc.oneof(fc.ipV4(), fc.ipV6()).map(canonicalHost)
  fc.assert(
    fc.property(hosts, fc.integer({ min: 1, max: 65535 }), (host, port) => {
      expect(parseAddress(formatAddress({ host, port }))).toEqual({ host, port })
    }),
  )
})

test('an IPv6 host stands in brackets before its port', () => {
  expect(formatAddress({ host: 'fd00::1', port: 80 })).toBe('[fd00::1]:80')
})
