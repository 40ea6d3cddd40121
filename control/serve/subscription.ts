// One resource on one stream: what the sidecar has been sent and what it said of it.
import type { Held, Resource, ResourceType } from '#shared/contract/discovery.ts'
import type { Content } from './content.ts'
import { type EndpointHistory, endpointDelta } from './delta.ts'

/** A configuration that the sidecar may be running: its endpoints must stay current. */
interface InFlight {
  readonly version: string
  readonly needs: readonly string[]
}

/** More unreported versions than this, and the oldest is no longer looked after. */
const IN_FLIGHT = 16

export interface SubscriptionStatus {
  readonly type: ResourceType
  readonly name: string
  readonly current: string
  readonly applied: string
  readonly refused: { readonly version: string; readonly error: string } | null
  readonly objects: readonly string[]
}

export class Subscription {
  readonly type: ResourceType
  readonly name: string
  content: Content | null = null
  /** What the sidecar holds or is about to, since it is on its way. */
  #sent: string
  #applied: string
  #refused: { version: string; error: string } | null = null
  #inFlight: readonly InFlight[] = []

  constructor(held: Held) {
    this.type = held.type
    this.name = held.name
    this.#sent = held.version
    this.#applied = held.version
  }

  /** The sidecar has told anew what it holds. */
  restart(version: string): void {
    this.#sent = version
    this.#applied = version
    this.#inFlight = []
  }

  /** Names of the endpoints of every configuration that the sidecar has, may have or will have. */
  needs(): readonly string[] {
    return [...(this.content?.needs ?? []), ...this.#inFlight.flatMap((one) => one.needs)]
  }

  /** The next thing to send, noted as sent; null: it holds what is current. */
  takeDifference(history: EndpointHistory): Resource | null {
    const content = this.content
    if (content === null || content.version === this.#sent) return null
    const head = { type: this.type, name: this.name, version: content.version }
    const base = 'endpoints' in content ? history.recall(this.#sent) : undefined
    const baseVersion = this.#sent
    this.#sent = content.version
    if ('endpoints' in content) {
      history.remember(content.version, content.endpoints)
      if (base === undefined) return { ...head, endpoints: { endpoints: content.endpoints } }
      return { ...head, delta: endpointDelta(base, content.endpoints, baseVersion) }
    }
    this.#inFlight = [...this.#inFlight, { version: content.version, needs: content.needs }].slice(-IN_FLIGHT)
    return 'notOurs' in content
      ? { ...head, notOurs: content.notOurs }
      : { ...head, configuration: content.configuration }
  }

  report(version: string, error: string): void {
    if (error !== '') {
      this.#refused = { version, error }
      this.#inFlight = this.#inFlight.filter((one) => one.version !== version)
      return
    }
    this.#applied = version
    this.#refused = null
    const at = this.#inFlight.findIndex((one) => one.version === version)
    if (at > 0) this.#inFlight = this.#inFlight.slice(at)
  }

  status(): SubscriptionStatus {
    return {
      type: this.type,
      name: this.name,
      current: this.content?.version ?? '',
      applied: this.#applied,
      refused: this.#refused,
      objects: this.content?.objects ?? [],
    }
  }
}
