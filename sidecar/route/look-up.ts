// The step that finds what discovery says of a destination. Routing goes by where the connection was going,
// never by what a client claims in Host.

import type { Addressed } from '#flow/connection.ts'
import { FlowError } from '#flow/error.ts'
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

export interface LookUpParts {
  readonly discovery: Discoverer
  readonly targetOf: (destination: KnownDestination) => Target
  /** Whether an address lies in the ranges of the mesh. */
  readonly isOfMesh: (host: string) => boolean
}

/** Rejects with NO_DISCOVERY where passing the bytes on as they are could show in clear what is meant to be secret. */
export function lookUp<In extends Addressed, Out>(parts: LookUpParts): Layer<In, In & Looked, Out> {
  const { discovery, targetOf, isOfMesh } = parts
  return (next) => async (input) => {
    const { destination } = input
    const known = discovery.known(destination)
    const found = known === undefined ? await discovery.find(destination) : known
    if (found !== null) return next({ ...input, target: () => targetOf(stillKnown(discovery, destination, found)) })
    const hasNoAnswer = discovery.known(destination) === undefined
    if (hasNoAnswer && isOfMesh(destination.host)) throw new FlowError('NO_DISCOVERY')
    return next({ ...input, target: null })
  }
}

/** A connection may outlive an idle subscription: its next request asks anew, and goes by the last answer meanwhile. */
function stillKnown(discovery: Discoverer, address: Address, found: KnownDestination): KnownDestination {
  if (!found.dropped.aborted) return found
  const again = discovery.known(address)
  if (again === undefined) void discovery.find(address)
  return again ?? found
}
