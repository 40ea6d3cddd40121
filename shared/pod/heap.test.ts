import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { HEAP_FLAGS } from './heap.ts'

/** Makes garbage of which half lives for a while, and tells how large the space of the young has become: MiB. */
const PROGRAM = `
const alive = []
for (let i = 0; i < 1e6; i++) {
  alive[i % 1e5] = { i, text: 'x' + i }
}
const [young] = require('node:v8').getHeapSpaceStatistics().filter(({ space_name }) => space_name === 'new_space')
console.log(young.space_size / 2 ** 20)
`

const youngMiB = (flags: readonly string[]) =>
  Number(execFileSync(process.execPath, [...flags, '-e', PROGRAM], { encoding: 'utf8' }))

test('Node takes the flags, and young objects stay within three times 4 MiB', () => {
  expect(youngMiB(HEAP_FLAGS)).toBeLessThanOrEqual(12)
  expect(youngMiB([])).toBeGreaterThan(12)
})

test('the image of the sidecar starts it with them when nobody says otherwise', () => {
  const dockerfile = readFileSync(join(import.meta.dirname, '../../Dockerfile'), 'utf8')
  const command = [...HEAP_FLAGS, '/weft/sidecar.js']

  expect(dockerfile).toContain(`CMD [${command.map((word) => `"${word}"`).join(', ')}]`)
})
