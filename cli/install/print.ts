// Prints a tree of template.ts as YAML in block style. What a hole and a condition become is the reader's business.
import { Hole, isMap, type Node, type TemplateFile, When } from './template.ts'

export interface Reader {
  hole(hole: Hole): string
  /** The lines of a conditional piece: all, none, or all between lines that decide later. */
  guard(when: When['condition'], lines: readonly string[], indent: number): readonly string[]
}

export function printFile(file: TemplateFile, reader: Reader): string {
  const documents = file.documents.map(({ condition, object }) => {
    const lines = ['---', ...printNode(object, 0, reader)]
    return condition === undefined ? lines : reader.guard(condition, lines, 0)
  })
  return `${documents.flat().join('\n')}\n`
}

function printNode(node: Node, indent: number, reader: Reader): readonly string[] {
  if (Array.isArray(node)) return (node as readonly Node[]).flatMap((item) => printItem(item, indent, reader))
  if (isMap(node)) {
    return Object.entries(node).flatMap(([name, inner]) => printField(name, inner, indent, reader))
  }
  throw new Error('a scalar stands beside its name, not on lines of its own')
}

function printField(name: string, node: Node, indent: number, reader: Reader): readonly string[] {
  if (node instanceof When) {
    return reader.guard(node.condition, printField(name, node.node, indent, reader), indent)
  }
  const start = `${' '.repeat(indent)}${scalar(name)}:`
  if (isInline(node)) return [`${start} ${inline(node, reader)}`]
  // A list is not indented below its name, as kubectl and Helm write it.
  return [start, ...printNode(node, Array.isArray(node) ? indent : indent + 2, reader)]
}

function printItem(node: Node, indent: number, reader: Reader): readonly string[] {
  if (node instanceof When) return reader.guard(node.condition, printItem(node.node, indent, reader), indent)
  const margin = ' '.repeat(indent)
  if (isInline(node)) return [`${margin}- ${inline(node, reader)}`]
  const [first = '', ...rest] = printNode(node, indent + 2, reader)
  // The dash would be left out with the field.
  if (isMap(node) && Object.values(node)[0] instanceof When)
    throw new Error('the first field of an item is always there')
  return [`${margin}- ${first.trimStart()}`, ...rest]
}

function isInline(node: Node): node is string | number | boolean | Hole {
  return !(Array.isArray(node) || isMap(node)) || Object.keys(node).length === 0
}

function inline(node: Node, reader: Reader): string {
  if (node instanceof Hole) return reader.hole(node)
  if (Array.isArray(node)) return '[]'
  return typeof node === 'object' ? '{}' : scalar(node)
}

const PLAIN = /^[A-Za-z/.][-A-Za-z0-9_./]*$/
/** What a reader of YAML 1.1 takes for something else than text. */
const NOT_TEXT = /^(true|false|yes|no|on|off|null|y|n|\.|\.(inf|nan))$/i

function scalar(content: string | number | boolean): string {
  if (typeof content !== 'string') return String(content)
  return PLAIN.test(content) && !NOT_TEXT.test(content) ? content : JSON.stringify(content)
}
