// Schemas for kubeconform -strict, a file for each kind: those of Kubernetes from the OpenAPI document in its Go module, ours from
// the CRDs. Each file holds what it refers to, since schemas of custom resources refer to themselves.
import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { customResourceDefinitions } from '#shared/resources/crd/definitions.ts'

interface Schema {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly format?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema | boolean
  readonly items?: Schema
  readonly 'x-kubernetes-group-version-kind'?: readonly { group: string; version: string; kind: string }[]
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean
}

/** In this form kubeconform is told of them. */
export const locationIn = (folder: string) => join(folder, '{{.ResourceKind}}{{.KindSuffix}}.json')

/** `version`: of Kubernetes, such as v1.34.4. */
export async function writeSchemas(folder: string, version: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  const definitions = await definitionsOf(version)
  for (const schema of Object.values(definitions)) {
    const [is, ...others] = schema['x-kubernetes-group-version-kind'] ?? []
    // Options of requests are of every group.
    if (is === undefined || others.length > 0) continue
    const whole = { ...schema, definitions: reachable(schema, definitions) }
    await writeFile(join(folder, fileOf(is.kind, is.group, is.version)), JSON.stringify(whole))
  }
  for (const { spec } of customResourceDefinitions()) {
    const { kind } = spec.names as { readonly kind: string }
    for (const { name, schema } of spec.versions as readonly { name: string; schema: { openAPIV3Schema: Schema } }[]) {
      await writeFile(join(folder, fileOf(kind, spec.group, name)), JSON.stringify(strict(schema.openAPIV3Schema)))
    }
  }
}

/** As kubeconform writes KindSuffix: of a group its first word. */
const fileOf = (kind: string, group: string, version: string) =>
  `${[kind, group.split('.')[0], version].filter((part) => part !== '').join('-')}.json`.toLowerCase()

async function definitionsOf(version: string): Promise<Readonly<Record<string, Schema>>> {
  const module = `k8s.io/kubernetes@${version}`
  const { stdout } = await promisify(execFile)('go', ['mod', 'download', '-json', module], { cwd: tmpdir() })
  const { Dir } = JSON.parse(stdout) as { Dir: string }
  const document = JSON.parse(await readFile(join(Dir, 'api/openapi-spec/swagger.json'), 'utf8')) as {
    readonly definitions: Readonly<Record<string, Schema>>
  }
  return Object.fromEntries(Object.entries(document.definitions).map(([name, one]) => [name, strict(one, name)]))
}

/** No field but those that are named; numbers where Kubernetes takes them for text. */
function strict(schema: Schema, name = ''): Schema {
  if (schema.format === 'int-or-string' || name.endsWith('.Quantity')) return { type: ['string', 'number'] }
  const { properties, items, additionalProperties } = schema
  const isOpen = additionalProperties !== undefined || schema['x-kubernetes-preserve-unknown-fields'] === true
  return {
    ...schema,
    ...(properties !== undefined && {
      properties: Object.fromEntries(Object.entries(properties).map(([field, inner]) => [field, strict(inner)])),
      ...(!isOpen && { additionalProperties: false }),
    }),
    ...(items !== undefined && { items: strict(items) }),
    ...(typeof additionalProperties === 'object' && { additionalProperties: strict(additionalProperties) }),
  }
}

function reachable(from: Schema, definitions: Readonly<Record<string, Schema>>): Readonly<Record<string, Schema>> {
  const found: Record<string, Schema> = {}
  const waiting: Schema[] = [from]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const [, name = ''] of JSON.stringify(next).matchAll(/"\$ref":"#\/definitions\/([^"]+)"/g)) {
      const schema = definitions[name]
      if (schema === undefined || name in found) continue
      found[name] = schema
      waiting.push(schema)
    }
  }
  return found
}
