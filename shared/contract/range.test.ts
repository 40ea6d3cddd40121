import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseRange, widestRangeOutside } from './range.ts'

describe('ranges', () => {
  test.each([
    ['10.96.0.0/12', '10.111.255.255', true],
    ['10.96.0.0/12', '10.112.0.0', false],
    ['0.0.0.0/0', '203.0.113.9', true],
    ['0.0.0.0/0', '::1', false],
    ['fd77::/64', 'fd77::abcd:1', true],
    ['fd77::/64', 'fd77:0:0:1::1', false],
    ['::/0', 'fd77::1', true],
    ['10.0.0.7/32', '10.0.0.7', true],
    ['10.0.0.7/32', '10.0.0.6', false],
    ['fd00::7/128', 'fd00::7', true],
  ])('%s holds %s: %s', (cidr, host, holds) => {
    expect(parseRange(cidr).contains(host)).toBe(holds)
  })

  test('the host bits of a range do not matter', () => {
    expect(parseRange('10.97.3.4/12').text).toBe('10.96.0.0/12')
    expect(parseRange('fd77::1/64').text).toBe('fd77::/64')
  })

  test.each(['', '10.0.0.0', '10.0.0.0/33', 'fd00::/129', '10.0.0/8', 'host/8'])(
    '"%s" is refused as a range',
    (text) => {
      expect(() => parseRange(text)).toThrow(TypeError)
    },
  )

  test('an address outside the mesh is given the widest range that touches none of the mesh', () => {
    expect(widestRangeOutside('203.0.113.9', ['10.77.0.0/16', '10.78.0.0/16'])).toBe('128.0.0.0/1')
    expect(widestRangeOutside('10.79.0.1', ['10.77.0.0/16', '10.78.0.0/16'])).toBe('10.79.0.0/16')
    expect(widestRangeOutside('10.77.3.1', ['10.77.0.0/16'])).toBeNull()
    expect(widestRangeOutside('2001:db8::1', ['10.77.0.0/16'])).toBe('::/0')
  })

  test('the range around any address holds that address and no address of the mesh', () => {
    const host = fc.oneof(fc.ipV4(), fc.ipV6())
    const range = fc.record({ ours: host, prefix: fc.integer({ min: 0, max: 32 }) })
    fc.assert(
      fc.property(host, fc.array(range, { maxLength: 8 }), (asked, ranges) => {
        const mesh = ranges.map(({ ours, prefix }) => `${ours}/${prefix}`)
        const answer = widestRangeOutside(asked, mesh)
        if (mesh.some((one) => parseRange(one).contains(asked))) return answer === null
        if (answer === null || !parseRange(answer).contains(asked)) return false
        return ranges.every(({ ours }) => !parseRange(answer).contains(ours))
      }),
    )
  })
})
