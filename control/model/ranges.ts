// Ranges that a destination must lie in to be of the mesh. A cluster tells nobody its own in a way that holds everywhere, so they are
// those around its addresses. Wider than true does no harm: of an address within, sidecars ask one by one instead of taking one answer
// for a whole range.
import { canonicalHost } from '#shared/address.ts'
import type { Facts } from './facts.ts'
import type { Remember } from './tracked.ts'

export function rangesAround(addresses: readonly string[]): readonly string[] {
  return [...new Set(addresses.map(rangeAround))].sort()
}

/** What is around an address from outside is not ours. */
export const singleRanges = (addresses: readonly string[]): readonly string[] =>
  [...new Set(addresses.map((address) => `${address}/${address.includes(':') ? 128 : 32}`))].sort()

export function rangeAround(address: string): string {
  if (!address.includes(':')) return `${address.slice(0, address.indexOf('.', address.indexOf('.') + 1))}.0.0/16`
  const [head = ''] = canonicalHost(address).split('::')
  const groups = head === '' ? [] : head.split(':')
  return `${[...groups, '0', '0', '0', '0'].slice(0, 4).join(':')}::/64`
}

/** As told, or around what there is. */
export function compileRanges({ options, pods, services, nodes }: Facts, remember: Remember): () => readonly string[] {
  const around = remember(() => {
    const claimed = services.keys('claimed').map((key) => key.slice(key.indexOf(' ') + 1))
    return [
      ...pods.keys('range').toSorted(),
      ...services.keys('range').toSorted(),
      ...singleRanges([...services.keys('external'), ...claimed]),
      ...(services.keys('nodePort').length > 0 ? singleRanges(nodes.keys('host')) : []),
    ]
  })
  return () => options.ranges ?? around.get('')
}
