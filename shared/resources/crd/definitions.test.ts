import { expect, test } from 'vitest'
import { customResourceDefinitions } from './definitions.ts'
import type { StructuralSchema } from './structural.ts'

const definitions = customResourceDefinitions()

/** Every schema with its path, from the whole object down. */
function schemas(schema: StructuralSchema, path = ''): [string, StructuralSchema][] {
  const inner: [string, StructuralSchema][] = Object.entries(schema.properties ?? {}).map(([name, property]) => [
    `${path}.${name}`,
    property,
  ])
  if (schema.items !== undefined) inner.push([`${path}[]`, schema.items])
  if (schema.additionalProperties !== undefined) inner.push([`${path}{}`, schema.additionalProperties])
  return [[path, schema], ...inner.flatMap(([place, found]) => schemas(found, place))]
}

const everySchema = definitions.flatMap(({ spec }) =>
  spec.versions.flatMap((version) => schemas(version.schema.openAPIV3Schema, spec.names['kind'] as string)),
)
const ofKubernetes = /\.(apiVersion|kind|metadata)$/
const ours = everySchema.filter(([path]) => path.split('.').length > 2 || !ofKubernetes.test(path))

test('both kinds that control honours are there, and no other', () => {
  expect(definitions.map(({ metadata }) => metadata.name)).toEqual([
    'trafficpolicies.weft.dev',
    'meshpolicies.weft.dev',
  ])
})

test('every text has a greatest length or a fixed set of values', () => {
  const texts = ours.filter(([, schema]) => schema.type === 'string')
  expect(texts.length).toBeGreaterThan(20)
  expect(texts.filter(([, schema]) => !('maxLength' in schema) && !('enum' in schema)).map(([path]) => path)).toEqual(
    [],
  )
})

test('every list and map has a greatest size, every number its range', () => {
  const unbounded = ours.filter(
    ([, schema]) =>
      (schema.type === 'array' && !('maxItems' in schema)) ||
      (schema.additionalProperties !== undefined && !('maxProperties' in schema)) ||
      (/^(integer|number)$/.test(schema.type ?? '') && !('minimum' in schema && 'maximum' in schema)),
  )
  expect(unbounded.map(([path]) => path)).toEqual([])
})

test('every field is described in a sentence', () => {
  const fields = ours.filter(([path]) => !/[\]}]$/.test(path))
  expect(fields.filter(([, { description = '' }]) => !/^[A-Z`].*\.$/.test(description)).map(([path]) => path)).toEqual(
    [],
  )
})

test('nothing is in a schema that an API server refuses as not structural', () => {
  const refused = ['$schema', '$ref', 'propertyNames', 'patternProperties', 'const', 'prefixItems', 'pattern']
  const offending = everySchema.filter(
    ([, schema]) =>
      refused.some((keyword) => keyword in schema) || schema['additionalProperties'] === (false as unknown),
  )
  expect(offending.map(([path]) => path)).toEqual([])
  expect(everySchema.filter(([, schema]) => schema.type === undefined).map(([path]) => path)).toEqual([])
})

test('what a pattern or a refinement of the schema refuses has a rule with the words of the YAML reader', () => {
  const rules = new Map(everySchema.map(([path, schema]) => [path, schema['x-kubernetes-validations']]))
  expect(rules.get('TrafficPolicy.spec.timeouts.connect')).toEqual([
    { rule: "self.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$')", message: 'want a duration such as 250ms, 10s or 1h30m' },
    {
      rule: "self.matches('[1-9]') || !self.matches('[0-9]')",
      message: 'want a duration above 0, such as 250ms, 10s or 1h30m',
    },
  ])
  expect(rules.get('TrafficPolicy.spec')).toHaveLength(5)
  expect(rules.get('TrafficPolicy.spec.targetRefs')).toHaveLength(1)
  expect(rules.get('MeshPolicy.spec.selector.matchLabels')).toHaveLength(2)
})
