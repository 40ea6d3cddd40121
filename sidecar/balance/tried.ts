// What all pickers share: nothing to pick from, and what is left for a further try.
import type { Endpoint, Picker } from '#flow/upstream.ts'

export const EMPTY_PICKER: Picker = { pick: () => undefined }

/** The endpoints not tried yet; null when that would be all or none of them. Only retries come here. */
export function withoutTried(endpoints: readonly Endpoint[], tried: readonly Endpoint[]): readonly Endpoint[] | null {
  const rest = endpoints.filter((endpoint) => !tried.includes(endpoint))
  return rest.length === 0 || rest.length === endpoints.length ? null : rest
}
