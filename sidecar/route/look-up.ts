// The step that finds what discovery says of a destination. Routing goes by where the connection was going,
// never by what a client claims in Host.

import type { Addressed } from '#flow/connection.ts'
import type { Layer } from '#flow/layer.ts'
import type { Address } from '#shared/address.ts'
import type { KnownDestination, Target } from './table.ts'

export interface Discoverer {
  /** undefined: not asked yet; null: known to be not ours. */
  known(address: Address): KnownDestination | null | undefined
  find(address: Address): Promise<KnownDestination | null>
}

export interface Looked {
  /** null: not of this mesh. The target of the moment, as configuration may change while a connection lives. */
  readonly target: (() => Target) | null
}

export function lookUp<In extends Addressed, Out>(
  discovery: Discoverer,
  targetOf: (destination: KnownDestination) => Target,
): Layer<In, In & Looked, Out> {
  return (next) => async (input) => {
    const known = discovery.known(input.destination)
    const found = known === undefined ? await discovery.find(input.destination) : known
    return next({ ...input, target: found === null ? null : () => targetOf(found) })
  }
}
