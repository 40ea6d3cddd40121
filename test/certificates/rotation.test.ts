// Certificates of six seconds: what lives goes on while everything under it is renewed.

import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { type Duplex, duplexPair } from 'node:stream'
import { expect, test } from 'vitest'
import { systemClock } from '#shared/clock.ts'
import { parseSpiffeId, type SpiffeId } from '#shared/identity/spiffe-id.ts'
import { silentLog } from '#shared/log.ts'
import { until, type Watch } from '#shared/watch.ts'
import { createOriginator } from '../../sidecar/secure/originate.ts'
import { rotateIdentity } from '../../sidecar/secure/rotate.ts'
import { createTerminator } from '../../sidecar/secure/terminate.ts'
import { CERTS_ID, startTestCerts, type TestCerts } from '../support/certs.ts'

const WEB = parseSpiffeId('spiffe://weft.local/ns/shop/sa/web')
const CATALOG = parseSpiffeId('spiffe://weft.local/ns/shop/sa/catalog')
const never = new AbortController().signal

function workload(certs: TestCerts, name: string, id: SpiffeId) {
  const stateDir = join(certs.directory, name)
  mkdirSync(stateDir, { mode: 0o700 })
  writeFileSync(join(stateDir, 'token'), `token of ${name}`)
  return rotateIdentity({
    certsAddress: certs.address,
    certsId: CERTS_ID,
    bundleFile: certs.bundleFile,
    tokenFile: join(stateDir, 'token'),
    stateDir,
    id,
    log: silentLog,
    clock: systemClock,
    random: () => 0.5,
  })
}

const changed = <T>(watch: Watch<T>) => {
  const before = watch.current
  return until(watch, (found): found is T => found !== before && found !== undefined, AbortSignal.timeout(30_000))
}

async function echoes(client: Duplex, server: Duplex, text: string): Promise<void> {
  const heard = once(server, 'data')
  client.write(text)
  server.write(`${(await heard)[0]}`)
  expect(`${(await once(client, 'data'))[0]}`).toBe(text)
}

test('a stream outlives two renewals at both ends, and new ones open after each', async () => {
  await using certs = await startTestCerts({ lifetimeMs: 9_000 })
  certs.setTokens([
    { token: 'token of web', id: WEB, addresses: ['127.0.0.1'] },
    { token: 'token of catalog', id: CATALOG, addresses: ['127.0.0.1'] },
  ])
  const web = workload(certs, 'web', WEB)
  const catalog = workload(certs, 'catalog', CATALOG)
  const originate = createOriginator({ identity: web.identity })
  const terminate = createTerminator({ identity: catalog.identity, trustDomain: 'weft.local' })
  const open = async () => {
    const [near, far] = duplexPair()
    const [{ stream: client }, { stream: server, peer }] = await Promise.all([
      originate(near, CATALOG, 'weft/tcp', never),
      terminate(far as Socket, Buffer.alloc(0), never),
    ])
    expect(peer).toBe(WEB)
    return { client, server }
  }
  try {
    await Promise.all([changed(web.identity), changed(catalog.identity)])
    const lasting = await open()
    await echoes(lasting.client, lasting.server, 'before')
    for (const round of ['one', 'two']) {
      await Promise.all([changed(web.identity), changed(catalog.identity)])
      await echoes(lasting.client, lasting.server, round)
      const fresh = await open()
      await echoes(fresh.client, fresh.server, `fresh ${round}`)
      fresh.client.destroy()
    }
    lasting.client.destroy()
  } finally {
    web.close()
    catalog.close()
  }
})
