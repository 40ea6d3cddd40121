import { describe, expect, test } from 'vitest'
import { addressAt, chooseRanges, overlaps, parseRange, type Taken } from './ranges.ts'

const AUTO = { podCIDRs: [], serviceCIDRs: [] }
const taken = (text: string, by = 'a route'): Taken => ({ range: parseRange(text), by })

describe('ranges of addresses', () => {
  test.each([
    ['10.77.0.0/17', 2, '10.77.0.2'],
    ['10.77.0.0/17', 300, '10.77.1.44'],
    ['10.77.3.9/17', 1, '10.77.0.1'],
    ['fd77::/64', 2, 'fd77::2'],
    ['fd77:1:1:1::/64', 65536, 'fd77:1:1:1::1:0'],
    ['0.0.0.0/0', 1, '0.0.0.1'],
  ])('%s has address number %i at %s', (range, index, address) => {
    expect(addressAt(parseRange(range), index)).toBe(address)
  })

  test('a range that is full says so, and its broadcast address is not given away', () => {
    expect(addressAt(parseRange('10.0.0.0/30'), 2)).toBe('10.0.0.2')
    expect(() => addressAt(parseRange('10.0.0.0/30'), 3)).toThrow('10.0.0.0/30 has no room for address number 3')
  })

  test.each([
    ['10.0.0.0/8', '10.77.0.0/17', true],
    ['10.77.0.0/17', '10.0.0.0/8', true],
    ['10.77.0.0/17', '10.77.128.0/17', false],
    ['fd77::/64', 'fd77::/112', true],
    ['fd77::/64', 'fd77:0:0:1::/64', false],
    ['0.0.0.0/0', 'fd77::/64', false],
  ])('%s and %s overlap: %s', (one, other, expected) => {
    expect(overlaps(parseRange(one), parseRange(other))).toBe(expected)
  })

  test.each(['10.0.0.0', '10.0.0.0/33', 'fd00::/129', 'x/8', '10.0.0.0/-1', ''])('"%s" is no range', (text) => {
    expect(() => parseRange(text)).toThrow(`"${text}" is not a range`)
  })

  test('a mesh that names none gets the first ranges that nothing has', () => {
    const texts = (list: readonly Taken[]) => chooseRanges(AUTO, list).pods.map(({ text }) => text)
    expect(texts([])).toEqual(['10.77.0.0/17', 'fd77:7765:6674:100::/64'])
    expect(texts([taken('10.77.200.0/24')])).toEqual(['10.78.0.0/17', 'fd77:7765:6674:101::/64'])
    expect(texts([taken('10.64.0.0/11'), taken('fd77:7765:6674:113::/64')])).toEqual([
      '10.97.0.0/17',
      'fd77:7765:6674:114::/64',
    ])
  })

  test('ranges that a mesh names are taken as they are', () => {
    const wanted = { podCIDRs: ['fd01::/64', '10.1.0.0/16'], serviceCIDRs: ['10.2.0.0/16', 'fd02::/112'] }
    expect(chooseRanges(wanted, []).services.map(({ text }) => text)).toEqual(['10.2.0.0/16', 'fd02::/112'])
  })

  test.each([
    [
      { podCIDRs: ['10.1.0.0/16'], serviceCIDRs: ['10.2.0.0/16'] },
      '10.1.0.0/16 of the Mesh meets 10.0.0.0/14 of mesh other',
    ],
    [
      { podCIDRs: ['10.9.0.0/16'], serviceCIDRs: ['10.9.1.0/24'] },
      '10.9.0.0/16 of the Mesh meets 10.9.1.0/24 of spec.serviceCIDRs',
    ],
    [
      { podCIDRs: ['10.9.0.0/16'], serviceCIDRs: [] },
      'do not match: podCIDRs are of family 4, serviceCIDRs of family none',
    ],
    [{ podCIDRs: ['10.9.0.0/16'], serviceCIDRs: ['fd02::/112'] }, 'do not match'],
  ])('a conflict names both sides: %j', (wanted, message) => {
    expect(() => chooseRanges(wanted, [taken('10.0.0.0/14', 'mesh other')])).toThrow(message)
  })

  test('a machine where everything is taken is told what to write', () => {
    expect(() => chooseRanges(AUTO, [taken('10.0.0.0/8')])).toThrow('no free addresses')
  })
})
