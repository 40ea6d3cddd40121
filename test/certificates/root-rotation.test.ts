// Replacing the root of a running mesh by the steps of docs/identity.md: no handshake fails at any of them.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { duplexPair } from 'node:stream'
import { expect, test } from 'vitest'
import type { Identity } from '#flow/identity.ts'
import { ManualClock } from '#shared/clock.ts'
import { parseSpiffeId } from '#shared/identity/spiffe-id.ts'
import { silentLog } from '#shared/log.ts'
import { until } from '#shared/watch.ts'
import { openAuthority } from '../../certs/root-files.ts'
import { createOriginator } from '../../sidecar/secure/originate.ts'
import { type RotatingIdentity, rotateIdentity } from '../../sidecar/secure/rotate.ts'
import { createTerminator } from '../../sidecar/secure/terminate.ts'
import { CERTS_ID, startTestCerts, type TestCerts } from '../support/certs.ts'

const ID = parseSpiffeId('spiffe://weft.local/ns/shop/sa/web')
const LIFETIME_MS = 3600_000
/** Small, so that the clock does not run through a lifetime while a call is under way. */
const STEP_MS = 20
const never = new AbortController().signal

/** A workload whose clock the test moves, so that each takes up a new bundle or certificate when the test says so. */
function workload(certs: TestCerts, name: string) {
  const directory = join(certs.directory, name)
  mkdirSync(directory, { mode: 0o700 })
  writeFileSync(join(directory, 'token'), 'secret')
  const clock = new ManualClock(Date.now())
  const rotating: RotatingIdentity = rotateIdentity({
    certsAddress: certs.address,
    certsId: CERTS_ID,
    bundleFile: certs.bundleFile,
    tokenFile: join(directory, 'token'),
    stateDir: null,
    id: ID,
    log: silentLog,
    clock,
    random: () => 0.5,
  })
  const { identity } = rotating
  return {
    originate: createOriginator({ identity }),
    terminate: createTerminator({ identity, trustDomain: 'weft.local' }),
    close: rotating.close.bind(rotating),
    clock,
    growOld: () => clock.advance((LIFETIME_MS * 2) / 3),
    /** Resolves with the first identity, now or later, that passes; the clock runs meanwhile, in steps of STEP_MS. */
    async takeUp(test: (found: Identity) => boolean): Promise<Identity> {
      const taken = until(
        identity,
        (found): found is Identity => found !== undefined && test(found),
        AbortSignal.timeout(30_000),
      )
      let isTaken = false
      const watched = taken.finally(() => {
        isTaken = true
      })
      watched.catch(() => {})
      while (!isTaken) {
        clock.advance(STEP_MS)
        await new Promise((resolve) => setImmediate(resolve))
      }
      return watched
    },
  }
}

test('a root is replaced with an overlap, and everybody can talk to everybody at each step', async () => {
  await using first = await startTestCerts({ lifetimeMs: LIFETIME_MS })
  const web = workload(first, 'web')
  const catalog = workload(first, 'catalog')
  const tokens = [{ token: 'secret', id: ID, addresses: ['127.0.0.1'] }]
  first.setTokens(tokens)
  const talk = async () => {
    for (const [from, to] of [
      [web, catalog],
      [catalog, web],
    ] as const) {
      const [near, far] = duplexPair()
      const ends = [
        from.originate(near, ID, 'weft/tcp', never),
        to.terminate(far as Socket, Buffer.alloc(0), never),
      ] as const
      const [{ stream: client }] = await Promise.all(ends)
      client.destroy()
    }
  }
  const both = [web, catalog]
  const stateDir = join(first.directory, 'state')
  const oldRoot = first.roots
  const nextDir = join(first.directory, 'next')
  const next = await openAuthority({ stateDir: nextDir, trustDomain: 'weft.local', wallMs: Date.now() })
  const restart = (certs: TestCerts) =>
    certs.stop().then(() => startTestCerts({ directory: first.directory, port: first.port }))
  try {
    for (const each of both) await each.takeUp(() => true)
    await talk()

    // 1. The next root is trusted, the old one signs. Sidecars take it up one after the other.
    writeFileSync(join(stateDir, 'root.pem'), oldRoot + next.bundle)
    const second = await restart(first)
    for (const each of both) {
      await each.takeUp(({ roots }) => roots === oldRoot + next.bundle)
      await talk()
    }

    // 2. The next root signs, the old one is trusted. Certificates are renewed one after the other.
    writeFileSync(join(stateDir, 'root.key'), readFileSync(join(nextDir, 'root.key')))
    writeFileSync(join(stateDir, 'root.pem'), next.bundle + oldRoot)
    const third = await restart(second)
    for (const each of both) {
      const { chain } = await each.takeUp(() => true)
      each.growOld()
      await each.takeUp((found) => found.chain !== chain)
      await talk()
    }

    // 3. The old root is no longer trusted.
    writeFileSync(join(stateDir, 'root.pem'), next.bundle)
    const fourth = await restart(third)
    for (const each of both) {
      await each.takeUp(({ roots }) => roots === next.bundle)
      await talk()
    }
    await fourth.stop()
  } finally {
    for (const each of both) each.close()
  }
})

test('a workload whose certificate is of a root that is gone gets one from its successor at once', async () => {
  await using certs = await startTestCerts({ lifetimeMs: LIFETIME_MS })
  certs.setTokens([{ token: 'secret', id: ID, addresses: ['127.0.0.1'] }])
  const web = workload(certs, 'web')
  try {
    const old = await web.takeUp(() => true)
    await certs.stop()
    const next = await openAuthority({
      stateDir: join(certs.directory, 'next'),
      trustDomain: 'weft.local',
      wallMs: Date.now(),
    })
    for (const name of ['root.key', 'root.pem']) {
      writeFileSync(join(certs.directory, 'state', name), readFileSync(join(certs.directory, 'next', name)))
    }
    const back = await startTestCerts({ directory: certs.directory, port: certs.port })
    const fresh = await web.takeUp(({ chain }) => chain !== old.chain)
    expect(fresh.roots).toBe(next.bundle)
    // Long before its own time came.
    expect(web.clock.now()).toBeLessThan(LIFETIME_MS / 4)
    await back.stop()
  } finally {
    web.close()
  }
})
