// The certificate of certs itself: an SVID like any other, signed by the authority in the same process and renewed in time.
import { generateKeyPairSync } from 'node:crypto'
import type { Clock } from '#shared/clock.ts'
import type { SpiffeId } from '#shared/identity/spiffe-id.ts'
import type { SvidIdentity } from '#shared/identity/svid.ts'
import type { Log } from '#shared/log.ts'
import { type Watch, Watched } from '#shared/watch.ts'
import type { Authority } from './authority.ts'
import { issueSvid } from './sign.ts'

export interface OwnIdentity {
  readonly identity: Watch<SvidIdentity>
  close(): void
}

export interface OwnIdentityOptions {
  readonly authority: Watch<Authority>
  readonly id: SpiffeId
  readonly lifetimeMs: number
  readonly clock: Clock
  readonly log: Log
}

/** Timers stand still while a machine sleeps: look at the wall clock this often. */
const LOOK_MS = 30_000

export async function keepOwnIdentity(options: OwnIdentityOptions): Promise<OwnIdentity> {
  const { clock, lifetimeMs, log } = options
  let isClosed = false
  let cancel = () => {}
  let issuedAt = clock.wall()
  const identity = new Watched(await makeIdentity(options))

  async function renew(): Promise<void> {
    try {
      const next = await makeIdentity(options)
      issuedAt = clock.wall()
      if (!isClosed) identity.set(next)
    } catch (error) {
      log.error({ reason: String(error) }, 'our own certificate could not be renewed')
    }
  }
  async function look(): Promise<void> {
    if (clock.wall() - issuedAt >= lifetimeMs / 2) await renew()
    schedule()
  }
  function schedule(): void {
    if (!isClosed) cancel = clock.after(Math.min(LOOK_MS, lifetimeMs / 6), () => void look())
  }

  schedule()
  const stopWatching = options.authority.subscribe(() => void renew())
  return {
    identity,
    close() {
      isClosed = true
      stopWatching()
      cancel()
    },
  }
}

async function makeIdentity({ authority, id, lifetimeMs, clock }: OwnIdentityOptions): Promise<SvidIdentity> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const { current } = authority
  const svid = await issueSvid(current, { id, publicKey: spki, lifetimeMs, wallMs: clock.wall() })
  return { id, chain: svid.chain, key: privateKey, roots: current.bundle, expiresAt: new Date(svid.notAfterMs) }
}
