// An intermediate signs, under a root whose key certs never sees: the way of an organisation, and of cert-manager.
import { execFileSync } from 'node:child_process'
import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createServer } from 'node:tls'
import { expect, test } from 'vitest'
import { parseSpiffeId } from '#shared/identity/spiffe-id.ts'
import { checkSvid } from '#shared/identity/svid-request.ts'
import { MESH_TLS } from '#shared/identity/tls-settings.ts'
import { type Authority, readAuthority } from '../../certs/authority.ts'
import { issueSvid } from '../../certs/sign.ts'
import { makeIntermediate } from '../support/intermediate.ts'

const names = { chain: 'tls.crt', key: 'tls.key', roots: 'ca.crt', wayOut: '' }

async function open(given: Awaited<ReturnType<typeof makeIntermediate>>): Promise<Authority> {
  const { chain, key, root: roots } = given
  return readAuthority({ chain, key, roots, names }, { trustDomain: 'weft.local', wallMs: Date.now() })
}

async function issue(authority: Authority, name: string): Promise<{ chain: string; key: KeyObject }> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const id = parseSpiffeId(`spiffe://weft.local/ns/shop/sa/${name}`)
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const { chain } = await issueSvid(authority, { id, publicKey: spki, lifetimeMs: 3600_000, wallMs: Date.now() })
  checkSvid({ id, chain, key: privateKey, roots: authority.bundle, wallMs: Date.now() })
  return { chain, key: privateKey }
}

test('who trusts the root alone trusts a workload of either of two intermediates, both ways', async () => {
  const first = await makeIntermediate()
  const second = await makeIntermediate(first)
  const [web, api] = [await issue(await open(first), 'web'), await issue(await open(second), 'api')]
  const pem = (key: KeyObject) => key.export({ type: 'pkcs8', format: 'pem' })
  const both = { ...MESH_TLS, ca: first.root, requestCert: true, rejectUnauthorized: true }
  const server = createServer({ ...both, cert: api.chain, key: pem(api.key) }, (socket) => socket.end('hello'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const identity = { cert: web.chain, key: pem(web.key), checkServerIdentity: () => undefined }
  const socket = connect({ ...both, ...identity, host: '127.0.0.1', port })
  const [heard] = (await once(socket, 'data')) as [Buffer]
  expect(heard.toString()).toBe('hello')
  socket.destroy()
  server.close()
})

test('openssl finds the way from the leaf over the intermediate to the root', async () => {
  const given = await makeIntermediate()
  const { chain } = await issue(await open(given), 'web')
  const directory = mkdtempSync(join(tmpdir(), 'weft-intermediate-'))
  const file = (name: string, content: string) => {
    writeFileSync(join(directory, name), content)
    return join(directory, name)
  }
  const words = ['verify', '-CAfile', file('root', given.root), '-untrusted', file('chain', chain)]
  const verdict = execFileSync('openssl', [...words, file('leaf', chain)], { encoding: 'utf8' })
  rmSync(directory, { recursive: true })
  expect(verdict).toContain(': OK')
})

test('no certificate outlives the intermediate', async () => {
  const authority = await open(await makeIntermediate())
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const order = {
    id: parseSpiffeId('spiffe://weft.local/ns/shop/sa/web'),
    publicKey: publicKey.export({ type: 'spki', format: 'der' }),
    lifetimeMs: 365 * 24 * 3600_000,
    wallMs: Date.now(),
  }
  const { chain } = await issueSvid(authority, order)
  expect(new X509Certificate(chain).validToDate).toEqual(authority.endsAt)
})
