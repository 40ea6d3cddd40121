// Kubernetes objects with holes. One tree has two readers: go-template.ts prints it as the template of a Helm chart, render.ts
// fills it with values. So `helm template` and `weft install` cannot differ; test/charts compares their bytes all the same.

/** Where a hole takes its content from: a path below .Values, or a fact of the installation. */
export type Source =
  | { readonly values: string; readonly joinedBy?: string }
  | { readonly release: 'Name' | 'Namespace' | 'Service' }

export type Condition =
  /** True where Go's templates say so: not for false, 0, and what is empty. */
  | { readonly isSet: Source }
  | { readonly source: Source; readonly is: string }
  | { readonly not: Condition }
  | { readonly all: readonly Condition[] }
  | { readonly any: readonly Condition[] }

/** A value as JSON, which is YAML too; or text of several parts. */
export class Hole {
  readonly parts: readonly (string | Source)[]
  /** True: the parts are joined to one text. False: the only part stands as it is, a number or a map included. */
  readonly isText: boolean
  constructor(parts: readonly (string | Source)[], isText: boolean) {
    this.parts = parts
    this.isText = isText
  }
}

/** An item, or the value of a field together with its name, that is there under a condition. */
export class When {
  readonly condition: Condition
  readonly node: Node
  constructor(condition: Condition, node: Node) {
    this.condition = condition
    this.node = node
  }
}

export type Node = string | number | boolean | Hole | When | readonly Node[] | { readonly [name: string]: Node }

export interface TemplateFile {
  /** Below templates/ of the chart. */
  readonly path: string
  readonly documents: readonly TemplateDocument[]
}

export interface TemplateDocument {
  /** Undefined: always. */
  readonly condition?: Condition
  readonly object: Node
}

export const value = (path: string) => new Hole([{ values: path }], false)
export const releaseName: Source = { release: 'Name' }
const releaseNamespace: Source = { release: 'Namespace' }
export const namespace = new Hole([releaseNamespace], true)

/** text`${from('image.registry')}/weft-control` */
export function text(pieces: TemplateStringsArray, ...sources: readonly Source[]): Hole {
  const parts = pieces.flatMap((piece, index) => {
    const source = sources[index]
    return [...(piece === '' ? [] : [piece]), ...(source === undefined ? [] : [source])]
  })
  return new Hole(parts, true)
}

export const from = (path: string): Source => ({ values: path })
/** A list as one text. */
export const joined = (path: string, joinedBy: string) => new Hole([{ values: path, joinedBy }], true)
export const isTrue = (path: string): Condition => ({ isSet: { values: path } })
export const is = (path: string, text: string): Condition => ({ source: { values: path }, is: text })
export const not = (condition: Condition): Condition => ({ not: condition })
export const all = (...conditions: readonly Condition[]): Condition => ({ all: conditions })
export const any = (...conditions: readonly Condition[]): Condition => ({ any: conditions })
export const when = (condition: Condition, node: Node) => new When(condition, node)

export function isMap(node: Node): node is { readonly [name: string]: Node } {
  return typeof node === 'object' && !Array.isArray(node) && !(node instanceof Hole) && !(node instanceof When)
}
