// One object per endpoint across all destinations: whoever keys standings or connections by the object keeps them through
// updates, and two services on one pod share them. The key is all that the object says, so an interned one never changes.
import type { Endpoint } from '#flow/upstream.ts'
import { parseAddress } from '#shared/address.ts'
import type { EndpointState } from '#shared/contract/discovery.ts'
import { parseSpiffeId } from '#shared/identity/spiffe-id.ts'

export interface InternedEndpoints {
  /** Each take needs its release. Throws a TypeError when the state cannot be read. */
  take(state: EndpointState): Endpoint
  release(endpoint: Endpoint): void
  readonly size: number
}

export function createInternedEndpoints(): InternedEndpoints {
  const byKey = new Map<string, { readonly endpoint: Endpoint; users: number }>()
  const keys = new WeakMap<Endpoint, string>()
  return {
    get size() {
      return byKey.size
    },
    take(state) {
      const key = `${state.address} ${state.identity} ${state.weight} ${state.pod}`
      const known = byKey.get(key)
      if (known !== undefined) {
        known.users++
        return known.endpoint
      }
      const endpoint: Endpoint = Object.freeze({
        address: Object.freeze(parseAddress(state.address)),
        weight: state.weight,
        identity: state.identity === '' ? null : parseSpiffeId(state.identity),
        pod: state.pod,
      })
      byKey.set(key, { endpoint, users: 1 })
      keys.set(endpoint, key)
      return endpoint
    },
    release(endpoint) {
      const key = keys.get(endpoint) ?? ''
      const known = byKey.get(key)
      if (known !== undefined && --known.users === 0) byKey.delete(key)
    },
  }
}
