// What the init container does: finds the kind of iptables that the node has and redirects all TCP of the pod, both families
// of addresses, by the same program as `weft up`. Done twice (a restarted pod sandbox) it is as done once.
import { parsePortRanges, parseSubnets } from '#shared/pod/annotation-values.ts'
import { applyRedirect, type Namespace, run, type Tables } from '#shared/pod/apply.ts'
import type { RedirectOptions } from '#shared/pod/redirect.ts'
import type { InitConfig } from './config.ts'

export interface InitSurroundings {
  /** Undefined: that of this process. */
  readonly namespace?: Namespace
  /** Whether the kernel has IPv6 at all; without, ip6tables fails. */
  readonly hasIPv6: boolean
}

export interface Redirected {
  readonly backend: 'nft' | 'legacy'
  readonly hasIPv6: boolean
}

/** Rejects with an Error that names the step at fault and what it said. */
export async function redirectPod(config: InitConfig, surroundings: InitSurroundings): Promise<Redirected> {
  const { namespace, hasIPv6 } = surroundings
  const options = await step('read the settings', () => redirectOptions(config))
  const backend = await step('find the kind of iptables of this node', () => findBackend(config, namespace))
  await step(`write the rules with iptables-${backend}`, () => applyRedirect(namespace, options, { backend, hasIPv6 }))
  return { backend, hasIPv6 }
}

function redirectOptions(config: InitConfig): RedirectOptions {
  const ports = (name: string, list: readonly string[]) => {
    const spans = parsePortRanges(list.join(','))
    if (spans === undefined)
      throw new TypeError(`${name}=${list.join(',')}: want ports and ranges such as 3306,4000-4010`)
    return spans.map(({ from, to }) => (from === to ? from : ([from, to] as const)))
  }
  const subnets = parseSubnets(config.skipSubnets.join(','))
  if (subnets === undefined)
    throw new TypeError(`WEFT_SKIP_SUBNETS=${config.skipSubnets.join(',')}: want address ranges`)
  return {
    skipInboundPorts: ports('WEFT_SKIP_INBOUND_PORTS', config.skipInboundPorts),
    skipOutboundPorts: ports('WEFT_SKIP_OUTBOUND_PORTS', config.skipOutboundPorts),
    skipOutboundCIDRs: subnets,
  }
}

const BACKENDS = ['nft', 'legacy'] as const satisfies readonly Tables['backend'][]

/**
 * Where rules of either kind are in the pod already (a chained CNI plugin's), that kind, since the kernel runs both and
 * their order would be anybody's guess. Else the first that the kernel lets us use: nft before legacy.
 */
async function findBackend(config: InitConfig, namespace: Namespace): Promise<'nft' | 'legacy'> {
  if (config.backend !== 'auto') return config.backend
  const usable: ('nft' | 'legacy')[] = []
  const faults: string[] = []
  for (const backend of BACKENDS) {
    try {
      const saved = await run(namespace, [`iptables-${backend}-save`, '-t', 'nat'])
      if (/^-A /m.test(saved)) return backend
      // Legacy says nothing where it has no table, and loads the table only when it is written to.
      await run(namespace, [`iptables-${backend}`, '-w', '-t', 'nat', '-S', 'OUTPUT'])
      usable.push(backend)
    } catch (cause) {
      faults.push(cause instanceof Error ? cause.message : String(cause))
    }
  }
  const [first] = usable
  if (first === undefined) throw new Error(`neither kind works: ${faults.join('; ')}`)
  return first
}

async function step<T>(name: string, act: () => T | Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (cause) {
    throw new Error(`could not ${name}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}
