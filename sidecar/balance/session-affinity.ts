// sessionAffinity: ClientIP of a Service. The client of a sidecar is its own pod, so all that the pod sends to one port of the
// service goes to one endpoint, until that is gone, is set aside, failed a try, or was not used for the service's timeout.
import { isIPv6 } from 'node:net'
import type { Balancer, Endpoint } from '#flow/upstream.ts'
import { formatAddress } from '#shared/address.ts'
import type { Clock } from '#shared/clock.ts'

interface Choice {
  /** Not the object: what is chosen outlives the subscription that the object came with. */
  readonly address: string
  usedAt: number
}

/** The endpoints chosen for one backend: of each family one, as addresses of both are balanced apart. */
export class AffinityMemory {
  ipv4: Choice | null = null
  ipv6: Choice | null = null
}

/** By backend. The timeout is three hours by default, so it must outlive pools, which go when a destination is idle for minutes. */
export class AffinityMemories {
  readonly #limit: number
  readonly #memories = new Map<string, AffinityMemory>()

  constructor(limit = 4096) {
    this.#limit = limit
  }

  /** The one memory of a backend, whichever destination leads to it. */
  of(backend: string): AffinityMemory {
    const memory = this.#memories.get(backend) ?? new AffinityMemory()
    // The one asked for last stands last.
    this.#memories.delete(backend)
    this.#memories.set(backend, memory)
    const oldest = this.#memories.keys().next().value
    if (this.#memories.size > this.#limit && oldest !== undefined) this.#memories.delete(oldest)
    return memory
  }
}

export interface SessionAffinity {
  readonly memory: AffinityMemory
  /** Since the last use. */
  readonly timeoutMs: number
  readonly clock: Clock
}

/** `spread` is asked for the first endpoint and for each that takes the place of one. */
export function withSessionAffinity(spread: Balancer, { memory, timeoutMs, clock }: SessionAffinity): Balancer {
  return (fit) => {
    const picker = spread(fit)
    const byAddress = new Map(fit.filter(({ weight }) => weight > 0).map((endpoint) => [addressOf(endpoint), endpoint]))
    const family = isIPv6(fit[0]?.address.host ?? '') ? 'ipv6' : 'ipv4'
    const pickKept = (now: number, tried: readonly Endpoint[]): Endpoint | undefined => {
      const choice = memory[family]
      if (choice === null || now - choice.usedAt >= timeoutMs) return undefined
      const kept = byAddress.get(choice.address)
      if (kept === undefined || tried.includes(kept)) return undefined
      choice.usedAt = now
      return kept
    }
    return {
      pick(hash, tried) {
        const now = clock.now()
        const kept = pickKept(now, tried)
        if (kept !== undefined) return kept
        const picked = picker.pick(hash, tried)
        if (picked !== undefined) memory[family] = { address: addressOf(picked), usedAt: now }
        return picked
      },
    }
  }
}

const addressOf = ({ address }: Endpoint) => formatAddress(address)
