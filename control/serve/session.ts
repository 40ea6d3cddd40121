// What one sidecar has asked for and holds. No I/O: messages go in, differences come out, so that a test drives it by hand.
import { status } from '@grpc/grpc-js'
import { formatAddress, parseAddress } from '#shared/address.ts'
import {
  type ControlMessage,
  type Held,
  type Resource,
  resourceKey,
  type SidecarMessage,
} from '#shared/contract/discovery.ts'
import { printable } from '#shared/printable.ts'
import { Reading } from '../model/tracked.ts'
import type { Caller, Contents } from './content.ts'
import type { EndpointHistory } from './delta.ts'
import { ProtocolError } from './protocol-error.ts'
import { Subscription, type SubscriptionStatus } from './subscription.ts'

export interface SessionOptions {
  readonly caller: Caller
  readonly contents: Contents
  readonly history: EndpointHistory
  readonly maxSubscriptions: number
  /** False: the stream is full, nothing more until resume(). */
  send(message: ControlMessage): boolean
}

/** Updates are cut near this size, so that one large answer does not become one large message. */
const UPDATE_BYTES = 256 * 1024
const REPORTED_ERROR_CHARACTERS = 500

export class Session {
  readonly caller: Caller
  /** Changes whenever status() may say something else. */
  revision = 0
  readonly #options: SessionOptions
  #contents: Contents
  /** Workload and destinations, by resource key: what the sidecar asked for. */
  readonly #asked = new Map<string, Subscription>()
  /** Endpoints, by name: what follows from the above. `users` counts the mentions. */
  readonly #followed = new Map<string, Subscription>()
  readonly #users = new Map<string, number>()
  readonly #held = new Map<Subscription, readonly string[]>()
  /** What is held of the contents: as long as it is current there is nothing to send. */
  #reading = new Reading()
  #isFull = false
  #isBehind = false

  constructor(options: SessionOptions) {
    this.caller = options.caller
    this.#options = options
    this.#contents = options.contents
  }

  /** Throws a ProtocolError, with which the stream must end. */
  receive(message: SidecarMessage): void {
    this.revision++
    const { subscribe } = message
    if (subscribe !== undefined) this.#reading.run(() => this.#subscribe(subscribe.resources))
    else if (message.unsubscribe !== undefined) for (const one of message.unsubscribe.resources) this.#unsubscribe(one)
    else if (message.report !== undefined) for (const one of message.report.applied) this.#report(one)
    else throw new ProtocolError(status.INVALID_ARGUMENT, 'the hello comes first and once')
  }

  /** A new model is in force. */
  serve(contents: Contents): void {
    if (contents === this.#contents && this.#reading.isCurrent) return
    this.revision++
    this.#contents = contents
    this.#sendAll()
  }

  resume(): void {
    this.revision++
    this.#isFull = false
    if (this.#isBehind) this.#sendAll()
  }

  close(): void {
    this.#reading.close()
  }

  status(): readonly SubscriptionStatus[] {
    return [...this.#asked.values(), ...this.#followed.values()].map((subscription) => subscription.status())
  }

  #subscribe(resources: readonly Held[]): void {
    const touched: Subscription[] = []
    const told = new Map<string, string>()
    for (const held of resources) {
      if (held.type === 'ENDPOINTS') told.set(held.name, held.version)
      else touched.push(this.#ask(held))
    }
    for (const subscription of touched) this.#refresh(subscription, told)
    for (const [name, version] of told) this.#followed.get(name)?.restart(version)
    const names = new Set([...touched.flatMap((subscription) => subscription.needs()), ...told.keys()])
    this.#sendDifferences([...[...names].flatMap((name) => this.#followed.get(name) ?? []), ...touched])
  }

  #ask(held: Held): Subscription {
    checkName(held, this.caller)
    const key = resourceKey(held)
    const known = this.#asked.get(key)
    if (known !== undefined) {
      known.restart(held.version)
      return known
    }
    if (this.#asked.size >= this.#options.maxSubscriptions) {
      throw new ProtocolError(
        status.RESOURCE_EXHAUSTED,
        `one sidecar may have ${this.#options.maxSubscriptions} subscriptions: drop some that are idle`,
      )
    }
    const subscription = new Subscription(held)
    this.#asked.set(key, subscription)
    return subscription
  }

  #unsubscribe(held: Held): void {
    const key = resourceKey(held)
    const subscription = this.#asked.get(key)
    if (subscription === undefined) return
    this.#asked.delete(key)
    this.#follow(subscription, [], new Map())
    this.#held.delete(subscription)
  }

  #report(applied: Held & { readonly error: string }): void {
    const subscription = this.#asked.get(resourceKey(applied)) ?? this.#followed.get(applied.name)
    if (subscription?.type !== applied.type) return
    subscription.report(applied.version, printable(applied.error.slice(0, REPORTED_ERROR_CHARACTERS)))
    if (subscription.type !== 'ENDPOINTS') this.#follow(subscription, subscription.needs(), new Map())
  }

  #refresh(subscription: Subscription, told: ReadonlyMap<string, string>): void {
    // The only workload that it may ask for is its own, whose name in the model may be longer than the one it knows.
    const name = subscription.type === 'WORKLOAD' ? this.caller.pod : subscription.name
    subscription.content = this.#contents.of(subscription.type, name, this.caller)
    this.#follow(subscription, subscription.needs(), told)
  }

  /** Takes up the endpoints that a subscription needs now and lets go of those that nobody needs any more. */
  #follow(subscription: Subscription, needs: readonly string[], told: ReadonlyMap<string, string>): void {
    const before = this.#held.get(subscription) ?? []
    this.#held.set(subscription, needs)
    for (const name of needs) {
      this.#users.set(name, (this.#users.get(name) ?? 0) + 1)
      if (this.#followed.has(name)) continue
      this.#followed.set(name, new Subscription({ type: 'ENDPOINTS', name, version: told.get(name) ?? '' }))
    }
    for (const name of before) {
      const users = (this.#users.get(name) ?? 0) - 1
      if (users > 0) this.#users.set(name, users)
      else {
        this.#users.delete(name)
        this.#followed.delete(name)
      }
    }
  }

  #sendAll(): void {
    this.#reading.close()
    this.#reading = new Reading()
    this.#reading.run(() => {
      for (const subscription of this.#asked.values()) this.#refresh(subscription, new Map())
      this.#sendDifferences([...this.#followed.values(), ...this.#asked.values()])
    })
  }

  /** Endpoints first. While the stream is full nothing is computed: the next round compares with what is then current. */
  #sendDifferences(subscriptions: readonly Subscription[]): void {
    this.#isBehind = this.#isFull
    if (this.#isFull) return
    let batch: Resource[] = []
    let size = 0
    const flush = () => {
      if (batch.length > 0 && !this.#options.send({ update: { resources: batch } })) this.#isFull = true
      batch = []
      size = 0
    }
    for (const subscription of subscriptions) {
      if (subscription.type === 'ENDPOINTS') {
        subscription.content = this.#contents.of('ENDPOINTS', subscription.name, this.caller)
      }
      const resource = subscription.takeDifference(this.#options.history)
      if (resource === null) continue
      batch.push(resource)
      size += sizeOf(resource)
      if (size > UPDATE_BYTES) flush()
    }
    flush()
  }
}

function sizeOf(resource: Resource): number {
  const endpoints = resource.endpoints?.endpoints ?? resource.delta?.upserts ?? []
  return 100 + (resource.configuration?.length ?? 0) + endpoints.length * 100
}

function checkName(held: Held, { namespace, pod }: Caller): void {
  if (held.type === 'WORKLOAD' && (held.name === pod || `${namespace}/${held.name}` === pod)) return
  if (held.type === 'DESTINATION' && isCanonicalAddress(held.name)) return
  const what = `${held.type} "${held.name.slice(0, 100)}"`
  if (held.type === 'WORKLOAD') throw new ProtocolError(status.PERMISSION_DENIED, `${what} is not the pod of the hello`)
  throw new ProtocolError(status.INVALID_ARGUMENT, `${what} is not a name such as 10.96.0.7:80 or [fd00::7]:80`)
}

function isCanonicalAddress(text: string): boolean {
  try {
    return formatAddress(parseAddress(text)) === text
  } catch {
    return false
  }
}
