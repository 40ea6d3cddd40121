import { expect, test } from 'vitest'
import { rangesAround } from './ranges.ts'

test('the ranges of a mesh are those around its addresses, once each', () => {
  expect(
    rangesAround(['10.244.0.10', '10.244.9.1', '10.96.0.7', 'fd00:96::7', 'fd00:96::8', 'fd00:1:2:3:4:5:6:7']),
  ).toEqual(['10.244.0.0/16', '10.96.0.0/16', 'fd00:1:2:3::/64', 'fd00:96:0:0::/64'])
  expect(rangesAround([])).toEqual([])
})
