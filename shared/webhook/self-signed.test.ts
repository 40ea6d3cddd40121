import { execFileSync } from 'node:child_process'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createServer } from 'node:tls'
import { afterAll, expect, test } from 'vitest'
import { makeSelfSigned } from './self-signed.ts'

const NAMES = ['weft-injector.weft-system.svc', 'weft-injector.weft-system.svc.cluster.local']
const notBefore = new Date('2026-06-01T12:00:00Z')
const directory = mkdtempSync(join(tmpdir(), 'weft-self-signed-'))
afterAll(() => rmSync(directory, { recursive: true }))

const make = (notAfter: string) => makeSelfSigned({ names: NAMES, notBefore, notAfter: new Date(notAfter) })

test.each(['2026-08-30T12:00:00Z', '2049-12-31T23:59:59Z', '2050-01-01T00:00:00Z', '2126-06-01T00:00:00Z'])(
  'openssl finds a certificate until %s good for a server and reads what we said',
  (notAfter) => {
    const { certificate, key } = make(notAfter)
    const file = join(directory, 'leaf.pem')
    writeFileSync(file, certificate)
    const shown = execFileSync('openssl', ['x509', '-in', file, '-noout', '-text'], { encoding: 'utf8' })
    expect(shown.replaceAll(/\s+/g, ' ')).toContain(`DNS:${NAMES.join(', DNS:')}`)
    expect(shown).toMatch(/Basic Constraints: critical\s+CA:FALSE/)
    expect(shown).toMatch(/Key Usage: critical\s+Digital Signature\n/)
    const at = `${notBefore.getTime() / 1000 + 60}`
    const words = [
      'verify',
      '-x509_strict',
      '-attime',
      at,
      '-purpose',
      'sslserver',
      '-partial_chain',
      '-CAfile',
      file,
      file,
    ]
    expect(execFileSync('openssl', words, { encoding: 'utf8' })).toContain(': OK')
    const leaf = new X509Certificate(certificate)
    expect([leaf.validFromDate, leaf.validToDate]).toEqual([notBefore, new Date(notAfter)])
    expect(leaf.checkPrivateKey(createPrivateKey(key))).toBe(true)
    expect(leaf.verify(leaf.publicKey)).toBe(true)
  },
)

test('serial numbers are positive, of 20 bytes, and differ', () => {
  const serials = Array.from(
    { length: 20 },
    () => new X509Certificate(make('2026-08-30T12:00:00Z').certificate).serialNumber,
  )
  for (const serial of serials) expect(serial).toMatch(/^[4-7][0-9A-F]{39}$/)
  expect(new Set(serials).size).toBe(20)
})

test('who trusts exactly this certificate accepts the server, and nobody else by that name', async () => {
  const lasting = { names: NAMES, notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 60_000) }
  const [own, other] = [makeSelfSigned(lasting), makeSelfSigned(lasting)]
  const server = createServer({ cert: own.certificate, key: own.key }, (socket) => socket.end())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const dial = async (ca: string, servername: string) => {
    const socket = connect({ host: '127.0.0.1', port, ca, servername })
    try {
      await once(socket, 'secureConnect')
      return 'accepted'
    } catch (error) {
      return (error as NodeJS.ErrnoException).code
    } finally {
      socket.destroy()
    }
  }
  expect(await dial(own.certificate, NAMES[0] ?? '')).toBe('accepted')
  expect(await dial(other.certificate, NAMES[0] ?? '')).not.toBe('accepted')
  expect(await dial(own.certificate, 'elsewhere.svc')).toBe('ERR_TLS_CERT_ALTNAME_INVALID')
  server.close()
})
