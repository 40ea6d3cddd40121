// From a zod schema to the structural OpenAPI schema of a CRD. What OpenAPI forbids there or says badly becomes a rule in
// CEL whose message is the schema's own: an API server then refuses with the same words as `weft apply`.
import { z } from 'zod'
import { type CelRule, celRules } from '#shared/resources/fields.ts'

/** A JSON schema in the dialect of Kubernetes. */
export interface StructuralSchema {
  readonly type?: string
  readonly description?: string
  readonly properties?: Readonly<Record<string, StructuralSchema>>
  readonly items?: StructuralSchema
  readonly additionalProperties?: StructuralSchema
  readonly [keyword: string]: unknown
}

export function structuralSchema(schema: z.ZodType): StructuralSchema {
  const { $schema: _, ...structural } = z.toJSONSchema(schema, { io: 'input', override: adapt })
  return inOrder(structural) as StructuralSchema
}

const ORDER = ['description', 'type', 'format', 'enum', 'required', 'properties', 'items', 'additionalProperties']

/** Keywords in one order, so that the files are read and compared easily; names of properties as in the zod schema. */
function inOrder(value: unknown, isSchema = true): unknown {
  if (Array.isArray(value)) return value.map((item) => inOrder(item, false))
  if (typeof value !== 'object' || value === null) return value
  const place = (name: string) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length)
  const entries = Object.entries(value)
  if (isSchema) entries.sort(([one], [other]) => place(one) - place(other))
  const isKeyword = (name: string) => isSchema && ['properties', 'x-kubernetes-validations'].includes(name)
  return Object.fromEntries(entries.map(([name, inner]) => [name, inOrder(inner, !isKeyword(name))]))
}

interface Seen {
  readonly zodSchema: z.core.$ZodTypes
  readonly jsonSchema: z.core.JSONSchema.BaseSchema
}

function adapt({ zodSchema, jsonSchema }: Seen): void {
  // Kubernetes prunes unknown fields and, where asked for strict validation as kubectl does, names them.
  if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties
  if (jsonSchema.minItems === 0) delete jsonSchema.minItems
  if (jsonSchema.type === 'array') jsonSchema['x-kubernetes-list-type'] ??= 'atomic'
  if (jsonSchema.type === 'integer') jsonSchema.format = 'int64'
  const { pattern, propertyNames } = jsonSchema
  if (pattern !== undefined) {
    delete jsonSchema.pattern
    addRule(jsonSchema, { rule: `self.matches(${celString(pattern)})`, message: wantOf(zodSchema) })
  }
  if (typeof propertyNames === 'object') {
    delete jsonSchema.propertyNames
    const keys = zodSchema._zod.def.type === 'record' ? zodSchema._zod.def.keyType : undefined
    addRule(jsonSchema, keyRule(propertyNames, keys))
  }
}

/** The rule of a key's pattern was made above, where the key's own schema was seen. */
function keyRule(names: z.core.JSONSchema.BaseSchema, keys: z.core.$ZodType | undefined): CelRule {
  const ofPattern = rulesOf(names).map(({ rule }) => rule.replaceAll('self', 'key'))
  const ofLength = names.maxLength === undefined ? [] : [`size(key) <= ${names.maxLength}`]
  return { rule: `self.all(key, ${[...ofLength, ...ofPattern].join(' && ')})`, message: wantOf(keys) }
}

function addRule(jsonSchema: z.core.JSONSchema.BaseSchema, rule: CelRule): void {
  // A schema that wraps another comes by here again, with what the inner one got.
  const others = rulesOf(jsonSchema).filter((other) => other.rule !== rule.rule)
  jsonSchema['x-kubernetes-validations'] = [...celRules(rule)['x-kubernetes-validations'], ...others]
}

function rulesOf(jsonSchema: z.core.JSONSchema.BaseSchema): readonly CelRule[] {
  return (jsonSchema['x-kubernetes-validations'] ?? []) as readonly CelRule[]
}

/** The words of the schema's own message: what would be right. */
function wantOf(schema: z.core.$ZodType | undefined): string {
  const error = schema?._zod.def.error
  // Each of ours says the same whatever the issue.
  const say = error as ((issue: object) => string | { message: string } | null | undefined) | undefined
  const want = say?.({ code: 'custom', path: [] })
  const message = typeof want === 'string' ? want : want?.message
  if (message === undefined) throw new Error('a schema with a pattern needs a message that says what would be right')
  return message
}

// zod writes a slash as "\/", which RE2 does not know.
function celString(text: string): string {
  return `'${text.replaceAll('\\/', '/').replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
