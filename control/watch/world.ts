// world.json as `weft up` writes it, checked: a half-written or foreign file must not become a mesh without pods.
import { isIP } from 'node:net'
import { z } from 'zod'
import type { World } from '#shared/standalone/world.ts'

const text = z.string().max(1024)
const address = text.refine((value) => isIP(value) !== 0, { error: 'an IP address' })
const addresses = z.array(address)

const schema: z.ZodType<World> = z.object({
  mesh: z.object({
    name: text,
    trustDomain: text,
    podCIDRs: z.array(text),
    serviceCIDRs: z.array(text),
    gateways: addresses,
  }),
  services: z.array(z.object({ namespace: text, name: text, addresses })),
  pods: z.array(
    z.object({
      name: text,
      namespace: text,
      workload: text,
      serviceAccount: text,
      labels: z.record(text, text),
      addresses,
      ready: z.boolean(),
      terminating: z.boolean(),
      isMeshed: z.boolean(),
    }),
  ),
})

/** Or the first mistake, in words. */
export function parseWorld(
  json: string,
): { readonly world: World } | { readonly path: string; readonly found: string } {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch (error) {
    return { path: '', found: `no JSON (${error instanceof Error ? error.message : String(error)})` }
  }
  const result = schema.safeParse(value)
  if (result.success) return { world: result.data }
  const issue = result.error.issues[0]
  return { path: issue?.path.map(String).join('.') ?? '', found: issue?.message ?? 'another shape' }
}
