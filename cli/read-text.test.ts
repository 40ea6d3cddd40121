import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { readText } from './read-text.ts'

const scratch = mkdtempSync(join(tmpdir(), 'weft-read-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

test('a relative name begins in the directory of the caller', () => {
  writeFileSync(join(scratch, 'mesh.yaml'), 'kind: Mesh')
  expect(readText('mesh.yaml', scratch, '')).toBe('kind: Mesh')
  expect(readText(join(scratch, 'mesh.yaml'), '/', '')).toBe('kind: Mesh')
})

test('a file that cannot be read is named as given and in full, with the reason in words', () => {
  expect(() => readText('none.yaml', scratch, 'Say which.')).toThrow(
    expect.objectContaining({
      message: `none.yaml (${scratch}/none.yaml) cannot be read: there is no such file`,
      wayOut: 'Say which.',
    }),
  )
  expect(() => readText(scratch, '/', '')).toThrow(`${scratch} cannot be read: it is a directory`)
})
