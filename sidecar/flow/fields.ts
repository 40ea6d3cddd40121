// Reading and changing flat field arrays without making an object per header.
import type { Fields } from './stream.ts'

/** Equal but for ASCII case; `lower` is already in lower case. */
export function sameName(name: string, lower: string): boolean {
  return name.length === lower.length && (name === lower || name.toLowerCase() === lower)
}

/** The first value of a field, or undefined. */
export function fieldValue(fields: Fields, lower: string): string | undefined {
  for (let i = 0; i < fields.length; i += 2) {
    if (sameName(fields[i] as string, lower)) return fields[i + 1]
  }
  return undefined
}

export function hasField(fields: Fields, lower: string): boolean {
  return fieldValue(fields, lower) !== undefined
}

/** Replaces every field of that name by one, at the place of the first or at the end. */
export function setField(fields: Fields, name: string, value: string): void {
  const lower = name.toLowerCase()
  for (let i = 0; i < fields.length; i += 2) {
    if (!sameName(fields[i] as string, lower)) continue
    fields[i + 1] = value
    for (let j = fields.length - 2; j > i; j -= 2) if (sameName(fields[j] as string, lower)) fields.splice(j, 2)
    return
  }
  fields.push(name, value)
}

export function removeField(fields: Fields, lower: string): void {
  for (let i = fields.length - 2; i >= 0; i -= 2) if (sameName(fields[i] as string, lower)) fields.splice(i, 2)
}
