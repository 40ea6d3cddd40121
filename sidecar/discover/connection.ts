// Keeps one stream to control: comes back after a loss spread over time, and changes to a new certificate by making the new
// stream before it breaks the old one.
import type { IdentitySource } from '#flow/identity.ts'
import type { Clock } from '#shared/clock.ts'
import type { ControlMessage, Resource, SidecarMessage } from '#shared/contract/discovery.ts'
import type { SpiffeId } from '#shared/identity/spiffe-id.ts'
import type { Log } from '#shared/log.ts'
import { type Watch, Watched } from '#shared/watch.ts'
import { type Link, openLink } from './link.ts'

export interface ConnectionOptions {
  readonly controlAddress: string
  readonly controlId: SpiffeId
  readonly identity: IdentitySource
  readonly hello: Omit<NonNullable<SidecarMessage['hello']>, 'openedAtMs'>
  /** After the loss of a stream the next is opened at a random time within this, unless control has told another time. */
  readonly spreadMs: number
  readonly log: Log
  readonly clock: Clock
  readonly random: () => number
  /** Control is there: tell it what is held. Called for each new stream, before any update of it. */
  onWelcome(): void
  onUpdate(resources: readonly Resource[]): void
}

const FIRST_BACKOFF_MS = 250
const LONGEST_BACKOFF_MS = 10_000
const HURRY_MS = 500

export class Connection {
  readonly #options: ConnectionOptions
  readonly #isConnected = new Watched(false)
  /** The stream in use, and the one that is to take its place. */
  #active: Link | null = null
  #next: Link | null = null
  #failures = 0
  #spreadMs: number
  #retry: { readonly at: number; readonly cancel: () => void } | null = null
  readonly #stop: () => void

  constructor(options: ConnectionOptions) {
    this.#options = options
    this.#spreadMs = options.spreadMs
    this.#stop = options.identity.subscribe(() => this.#open())
    this.#open()
  }

  get isConnected(): Watch<boolean> {
    return this.#isConnected
  }

  /** Lost while there is no stream: onWelcome of the next one tells all. */
  send(message: SidecarMessage): void {
    this.#active?.send(message)
  }

  /** Somebody waits: the next attempt, when it is far off, comes soon. */
  hurry(): void {
    const { clock, random } = this.#options
    if (this.#retry !== null && this.#retry.at - clock.now() > HURRY_MS) this.#wait(random() * HURRY_MS)
  }

  close(): void {
    this.#stop()
    this.#retry?.cancel()
    this.#next?.close()
    this.#active?.close()
    this.#isConnected.set(false)
  }

  #wait(delayMs: number): void {
    const { clock } = this.#options
    this.#retry?.cancel()
    this.#retry = { at: clock.now() + delayMs, cancel: clock.after(delayMs, () => this.#open()) }
  }

  #open(): void {
    const { controlAddress, controlId, clock, hello, identity, log } = this.#options
    this.#retry?.cancel()
    this.#retry = null
    this.#next?.close()
    this.#next = null
    if (identity.current === undefined) return
    try {
      const link = openLink({
        controlAddress,
        controlId,
        clock,
        identity: identity.current,
        onMessage: (message) => this.#take(link, message),
        onEnd: (error) => this.#ended(link, error),
      })
      this.#next = link
      link.send({ hello: { ...hello, openedAtMs: clock.wall() } })
    } catch (error) {
      // Key and certificate that do not fit each other: the next identity will.
      log.error({ err: error }, 'this identity cannot be used to reach control')
    }
  }

  #take(link: Link, { welcome, update, move }: ControlMessage): void {
    if (welcome !== undefined) {
      this.#spreadMs = welcome.spreadMs || this.#options.spreadMs
      if (link === this.#next) this.#takeOver(link)
    }
    if (link !== this.#active) return
    if (update !== undefined) this.#options.onUpdate(update.resources)
    // A stream that is under way already goes elsewhere.
    if (move !== undefined && this.#next === null && this.#retry === null) {
      this.#options.log.info({ withinMs: move.withinMs }, 'control asks to go to another replica')
      this.#wait(this.#options.random() * move.withinMs)
    }
  }

  #takeOver(link: Link): void {
    this.#active?.close()
    this.#active = link
    this.#next = null
    this.#failures = 0
    this.#options.log.info({ control: this.#options.controlAddress }, 'connected to control')
    this.#isConnected.set(true)
    this.#options.onWelcome()
  }

  #ended(link: Link, error: Error): void {
    const { log, random } = this.#options
    if (link === this.#active) {
      this.#active = null
      this.#isConnected.set(false)
      log.warn({ reason: error.message }, 'lost control; what is known stays in force')
      if (this.#next === null && this.#retry === null) this.#wait(random() * this.#spreadMs)
    } else if (link === this.#next) {
      this.#next = null
      const limit = Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** this.#failures++)
      log.info({ reason: error.message, limitMs: limit }, 'control cannot be reached; trying again')
      this.#wait(limit / 2 + (random() * limit) / 2)
    }
  }
}
