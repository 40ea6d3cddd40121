// weft install: prints the objects that `helm template` makes of the charts, for `kubectl apply` where there is no Helm.

import { parse } from 'yaml'
import { explain, wantByDefault } from '#shared/resources/explain.ts'
import { labelName } from '#shared/resources/fields.ts'
import type { Context } from '../context.ts'
import { Failure, messageOf } from '../failure.ts'
import { crdFiles, WEFT_NAMESPACE, weftFiles } from '../install/charts.ts'
import { mergeValues, parseAssignment } from '../install/merge.ts'
import { renderChart, type Values } from '../install/render.ts'
import { PRESETS, valuesSchema } from '../install/values.ts'
import { defaultValues } from '../install/values-file.ts'
import { readText } from '../read-text.ts'

export interface InstallFlags {
  readonly namespace: string
  readonly crds?: boolean
  readonly preset?: string
  readonly values: readonly string[]
  readonly set: readonly string[]
}

export function install({ terminal, workingDirectory }: Context, flags: InstallFlags): void {
  const release = { namespace: readNamespace(flags.namespace) }
  if (flags.crds === true) {
    terminal.out(renderChart('weft-crds', crdFiles(), { ...release, name: 'weft-crds' }, {}).trimEnd())
    return
  }
  const layers = [
    PRESETS[flags.preset ?? '']?.values ?? {},
    ...flags.values.map((file) => readValues(file, workingDirectory)),
    ...flags.set.map(readAssignment),
  ]
  const values = layers.reduce<Values>((base, over) => mergeValues(base, over as Values), defaultValues())
  checkValues(values)
  checkJaeger(values, release.namespace)
  terminal.out(renderChart('weft', weftFiles(), { ...release, name: 'weft' }, values).trimEnd())
}

function readNamespace(name: string): string {
  const { error } = labelName.safeParse(name)
  if (error === undefined) return name
  const [issue] = error.issues
  throw new Failure(
    `--namespace ${name}: want ${issue?.message}`,
    'Give another name, or none: it is weft-system then.',
  )
}

/** The preset `demo` names Jaeger by the usual namespace: a value cannot say "where Weft is". The chart has the same check. */
function checkJaeger(values: Values, namespace: string): void {
  const policy = JSON.stringify((values['mesh'] as Values)['policy'])
  if (namespace === WEFT_NAMESPACE || !policy.includes(`//weft-jaeger.${WEFT_NAMESPACE}:`)) return
  throw new Failure(
    `mesh.policy.tracing.endpoint is Jaeger in ${WEFT_NAMESPACE}, and Weft goes into ${namespace}`,
    `Add --set mesh.policy.tracing.endpoint=http://weft-jaeger.${namespace}:4317`,
  )
}

function readValues(file: string, workingDirectory: string): Values {
  const text = readText(file, workingDirectory, 'Say which file: weft install -f FILE')
  const values: unknown = parseYaml(file, text)
  if (values === null || values === undefined) return {}
  if (typeof values === 'object' && !Array.isArray(values)) return values as Values
  throw new Failure(`${file}: found no map of values`, 'See charts/weft/values.yaml.')
}

function parseYaml(file: string, text: string): unknown {
  try {
    return parse(text)
  } catch (error) {
    throw Failure.from(error, `${file}: ${messageOf(error)}`, 'Correct the file and try again.')
  }
}

function readAssignment(assignment: string): Values {
  const values = parseAssignment(assignment)
  if (values !== undefined) return values
  throw new Failure(
    `--set ${assignment}: want NAME.NAME=VALUE, such as control.replicas=3`,
    'Give lists, maps and what holds a comma in a file: weft install -f FILE',
  )
}

function checkValues(values: Values): void {
  const { error } = valuesSchema.safeParse(values, { error: wantByDefault })
  if (error === undefined) return
  const lines = error.issues
    .flatMap((issue) => explain(issue, values))
    .map(({ text: { path, found, want } }) => `${path}: found ${found}; want ${want}`)
  throw new Failure(lines.join('\n'), 'What there is to set: charts/weft/values.yaml.')
}
