// values.yaml with a comment for each value, and values.schema.json, both from the zod schema.
import { stringify } from 'yaml'
import { z } from 'zod'
import { type ChartValues, valuesSchema } from './values.ts'

type Schema = z.core.JSONSchema.BaseSchema

export function valuesJsonSchema(): Schema {
  return z.toJSONSchema(valuesSchema, {
    io: 'input',
    target: 'draft-7',
    override: ({ jsonSchema }) => {
      // Rules for an API server, which has them from the CRD.
      for (const name of Object.keys(jsonSchema)) if (name.startsWith('x-kubernetes-')) delete jsonSchema[name]
    },
  })
}

export const defaultValues = (): ChartValues => valuesSchema.parse({})

const WIDTH = 120

export function valuesYaml(): string {
  return `# Values of the chart weft, with their defaults.\n${section(valuesJsonSchema(), defaultValues(), 0).join('\n')}\n`
}

function section(schema: Schema, values: object, indent: number): readonly string[] {
  const margin = ' '.repeat(indent)
  return Object.entries(values).flatMap(([name, value]: [string, unknown]) => {
    const field = schema.properties?.[name]
    const about = typeof field === 'object' ? field : {}
    const comment = wrap(about.description ?? '', WIDTH - indent - 2).map((line) => `${margin}# ${line}`)
    const gap = indent === 0 ? [''] : []
    const isSection = about.properties !== undefined && Object.keys(value as object).length > 0
    const lines = isSection
      ? [`${margin}${name}:`, ...section(about, value as object, indent + 2)]
      : [`${margin}${name}: ${stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trim()}`]
    return [...gap, ...comment, ...lines]
  })
}

function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = []
  for (const word of text.split(' ').filter((part) => part !== '')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}
