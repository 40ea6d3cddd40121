// weft.dev/status on a pod: what was injected, or why not. The hash tells a pod that an older configuration made.
import { createHash } from 'node:crypto'
import { STATUS_ANNOTATION } from './names.ts'

export type InjectionStatus =
  | { readonly version: string; readonly injected: true; readonly config: string }
  | { readonly version: string; readonly injected: false; readonly reason: string }

export function statusAnnotation(status: InjectionStatus): Readonly<Record<string, string>> {
  return { [STATUS_ANNOTATION]: JSON.stringify(status) }
}

/** 16 hexadecimal digits; equal for equal content, whatever the order of its fields. */
export function configHash(...parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts, sortFields)).digest('hex').slice(0, 16)
}

function sortFields(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
