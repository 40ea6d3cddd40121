// JSON Patch as RFC 6902 section 4 has it, for tests: strict, so that a patch an API server refuses fails here too.
import type { Operation } from './patch-json.ts'

type Json = Record<string, unknown> | unknown[]

export function applyPatch(document: unknown, patch: readonly Operation[]): unknown {
  const holder: { root: unknown } = { root: JSON.parse(JSON.stringify(document)) }
  for (const operation of JSON.parse(JSON.stringify(patch)) as Operation[]) {
    const parts = ['root', ...operation.path.split('/').slice(1)].map((part) =>
      part.replaceAll('~1', '/').replaceAll('~0', '~'),
    )
    const last = parts.pop() ?? ''
    let target: Json = holder
    for (const part of parts) {
      const next = (target as Record<string, unknown>)[part]
      if (typeof next !== 'object' || next === null) throw new Error(`${operation.path} has no parent`)
      target = next as Json
    }
    change(target, last, operation)
  }
  return holder.root
}

function change(target: Json, key: string, operation: Operation): void {
  if (Array.isArray(target)) return changeList(target, key, operation)
  const isThere = Object.hasOwn(target, key)
  if (operation.op !== 'add' && !isThere) throw new Error(`${operation.path} is not there`)
  if (operation.op === 'remove') delete target[key]
  else target[key] = operation.value
}

function changeList(target: unknown[], key: string, operation: Operation): void {
  const index = key === '-' ? target.length : Number(key)
  const most = operation.op === 'add' ? target.length : target.length - 1
  if (!Number.isInteger(index) || index < 0 || index > most) throw new Error(`${operation.path} is out of the list`)
  if (operation.op === 'add') target.splice(index, 0, operation.value)
  else if (operation.op === 'remove') target.splice(index, 1)
  else target[index] = operation.value
}
