// Mesh: the mesh itself on one machine. Ranges left out are chosen by `weft up`.
import { z } from 'zod'
import { overlaps, parseCidr } from './cidr.ts'
import { fields, kind, list, matching, meshWideMetadata, refuse } from './fields.ts'

const CIDR = 'an address range such as 10.77.0.0/17 or fd77::/64'
const cidr = z.string({ error: CIDR }).refine((value) => parseCidr(value) !== undefined, { error: CIDR })

const cidrs = list(cidr, 1, 2).superRefine((ranges, context) => {
  const [first, second] = ranges.map((range) => parseCidr(range)?.family)
  if (first !== undefined && first === second)
    refuse(context, [1], 'one range of each family: IPv4 and IPv6', `two ranges of ${first}`)
})

const spec = fields({
  trustDomain: matching(
    /^[a-z0-9]([-a-z0-9_]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9_]*[a-z0-9])?)*$/,
    255,
    'a trust domain of lower-case letters, digits, "-", "_" and ".", such as weft.local',
  ).default('weft.local'),
  podCIDRs: cidrs.optional(),
  serviceCIDRs: cidrs.optional(),
}).superRefine((mesh, context) => {
  for (const [index, range] of (mesh.serviceCIDRs ?? []).entries()) {
    const rival = (mesh.podCIDRs ?? []).find((other) => overlap(range, other))
    if (rival !== undefined)
      refuse(context, ['serviceCIDRs', index], 'a range apart from podCIDRs', `${range}, which overlaps ${rival}`)
  }
})

function overlap(a: string, b: string): boolean {
  const [first, second] = [parseCidr(a), parseCidr(b)]
  return first !== undefined && second !== undefined && overlaps(first, second)
}

/** Short, as names of links and directories are made from it. */
const meshName = matching(
  /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/,
  32,
  'a name of lower-case letters, digits and "-", at most 32, such as shop',
)

export const meshSchema = kind({
  apiVersion: 'weft.dev/v1alpha1',
  kind: 'Mesh',
  metadata: meshWideMetadata(meshName),
  spec: spec.prefault({}),
})
export type MeshResource = z.infer<typeof meshSchema>
