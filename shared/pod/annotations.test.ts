import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { annotationsPage, formatMistake, readAnnotations } from './annotations.ts'

const warningsOf = (annotations: Record<string, string>) =>
  readAnnotations(annotations).mistakes.map((mistake) => formatMistake(mistake))

test('docs/annotations.md is what the table says', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/annotations.md'), 'utf8')

  expect(page).toBe(annotationsPage())
})

test('without annotations the defaults hold', () => {
  const { options, mistakes } = readAnnotations({ 'example.com/other': 'not ours' })

  expect(mistakes).toEqual([])
  expect(options).toMatchObject({
    'skip-inbound-ports': [],
    'proxy-cpu-request': { text: '50m', amount: 0.05 },
    'proxy-cpu-limit': undefined,
    'shutdown-grace-period': undefined,
    'pre-stop-sleep': 5,
  })
})

test.each([
  [
    'skip-outbound-ports',
    '25,4000-4010',
    [
      { from: 25, to: 25 },
      { from: 4000, to: 4010 },
    ],
  ],
  ['skip-subnets', '10.0.0.0/8, fd00::/8', ['10.0.0.0/8', 'fd00::/8']],
  ['proxy-memory-limit', '0.5Gi', { text: '0.5Gi', amount: 2 ** 29 }],
  ['proxy-log-level', 'debug', 'debug'],
  ['shutdown-grace-period', '1m30s', 90],
  ['pre-stop-sleep', '0s', 0],
] as const)('%s: %s is understood', (name, text, value) => {
  const { options, mistakes } = readAnnotations({ [`config.weft.dev/${name}`]: text })

  expect(mistakes).toEqual([])
  expect(options[name]).toEqual(value)
})

test.each([
  ['skip-inbound-ports', '80-', 'ports and ranges such as 3306,4000-4010'],
  ['opaque-ports', '0', 'ports and ranges such as 3306,4000-4010'],
  ['skip-subnets', '10.0.0.1', 'address ranges such as 10.0.0.0/8,fd00::/8'],
  ['proxy-cpu-request', '-1', 'an amount of CPU such as 100m or 0.5, 10m to 64'],
  ['proxy-cpu-limit', '1Mi', 'an amount of CPU such as 100m or 0.5, 10m to 64'],
  ['proxy-memory-limit', '1Mi', 'an amount of memory such as 128Mi, 64Mi to 16Gi'],
  ['proxy-memory-request', '100m', 'an amount of memory such as 128Mi, 64Mi to 16Gi'],
  ['proxy-log-level', 'verbose', 'one of trace, debug, info, warn, error, silent'],
  ['shutdown-grace-period', '30', 'a duration of whole seconds such as 20s, 1s to 3600s'],
  ['pre-stop-sleep', '500ms', 'a duration of whole seconds such as 20s, 0s to 300s'],
] as const)('%s: %s is told with what would be right, and the default holds', (name, text, want) => {
  const key = `config.weft.dev/${name}`

  expect(warningsOf({ [key]: text })).toEqual([`${key}: found "${text}"; want ${want}`])
  expect(readAnnotations({ [key]: text }).options).toEqual(readAnnotations({}).options)
})

test('an unknown key is told with the nearest one', () => {
  expect(warningsOf({ 'config.weft.dev/skip-inbound-port': '22', 'config.weft.dev/x': '' })).toEqual([
    'config.weft.dev/skip-inbound-port: unknown annotation; want "config.weft.dev/skip-inbound-ports"',
    'config.weft.dev/x: unknown annotation; want see docs/annotations.md',
  ])
})

test('a Workload on one machine is told that an annotation is for pods of a cluster', () => {
  const of = (name: string) => readAnnotations({ [`config.weft.dev/${name}`]: '1' }, 'workload').mistakes

  expect(of('proxy-cpu-limit')[0]?.want).toBe('it left out: it is for pods of a cluster')
  expect(of('opaque-ports')).toEqual([])
})

test('whatever the text, a value is right or told, and a warning fits into one of the API server', () => {
  const key = fc.oneof(
    fc.constantFrom(
      'skip-subnets',
      'opaque-ports',
      'proxy-cpu-limit',
      'shutdown-grace-period',
      'toString',
      '__proto__',
    ),
    fc.string(),
  )
  fc.assert(
    fc.property(key, fc.string({ unit: 'grapheme' }), (name, value) => {
      const { options, mistakes } = readAnnotations({ [`config.weft.dev/${name}`]: value })
      for (const mistake of mistakes) expect(formatMistake(mistake).length).toBeLessThan(250)
      expect(Object.keys(options)).toEqual(Object.keys(readAnnotations({}).options))
    }),
  )
})
