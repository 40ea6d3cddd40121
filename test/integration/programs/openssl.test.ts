// openssl s_client to an application with TLS of its own: what the mesh carries, it carries untouched.
import { expect, test } from 'vitest'
import { captureMesh } from '../../support/capture.ts'
import { pod } from '../../support/documents.ts'
import { expectBothSidecars, meshForFile, NOBODY, programOf, run, scratchDirectory, selfSigned } from './programs.ts'

const openssl = programOf('openssl', 'openssl')
const PORT = 4433
const NAME = 'application.example'

let certificate = { certificate: '', key: '', pem: '' }
const mesh = meshForFile(() => {
  certificate = selfSigned(scratchDirectory('openssl'), NAME)
  const { certificate: file, key } = certificate
  // A second certificate, for another server name only: which of the two comes back tells what name arrived.
  const second = selfSigned(scratchDirectory('openssl'), 'other.example')
  const other = ['-servername', 'other.example', '-cert2', second.certificate, '-key2', second.key]
  return (
    pod({ name: 'client' }) +
    pod({ name: 'outsider', inject: false }) +
    pod({
      name: 'secret',
      command: [openssl, 's_server', '-accept', `${PORT}`, '-cert', file, '-key', key, ...other, '-rev'],
      ports: [PORT],
      readiness: { tcpSocket: { port: PORT }, periodSeconds: 1 },
      runAsUser: NOBODY,
    })
  )
})

const connect = (input: string, ...more: readonly string[]) => {
  const argv = ['s_client', '-connect', `secret:${PORT}`, '-CAfile', certificate.certificate, '-ign_eof', ...more]
  return run(mesh(), 'client-0', ['timeout', '10', openssl, ...argv], { input })
}

test('the certificate that the client sees is the application’s own, whole and verified', async () => {
  const said = await connect('abc\nCLOSE\n', '-servername', NAME, '-verify_return_error', '-showcerts')

  const shown = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n/.exec(said)?.[0]
  expect(shown).toBe(certificate.pem)
  expect(said).toContain('Verify return code: 0 (ok)')
  expect(said).toMatch(/TLSv1\.3/)
  // s_server -rev answers with what it was sent, reversed.
  expect(said).toContain('cba')
  const ends = { client: 'client-0', server: 'secret-0', port: PORT, kind: 'connection', protocol: 'tls' } as const
  await expectBothSidecars(mesh(), ends)
})

test('the server name reaches the application', async () => {
  const subject = async (name: string) => /subject=.*/.exec(await connect('CLOSE\n', '-servername', name))?.[0]

  expect(await subject(NAME)).toContain(NAME)
  expect(await subject('other.example')).toContain('other.example')
})

test('TLS 1.2 of the application passes too, and on the wire there is neither its name nor its certificate', async () => {
  await using capture = await captureMesh(mesh().name)
  // The planted marker: a pod without a sidecar is refused, but its ClientHello has crossed in clear.
  const outside = ['s_client', '-connect', `${mesh().addressOf('secret-0')}:${PORT}`, '-servername', 'planted.example']
  expect((await mesh().exec('outsider-0', ['timeout', '10', openssl, ...outside])).code).not.toBe(0)
  await capture.sees('planted.example')

  const said = await connect('CLOSE\n', '-servername', NAME, '-tls1_2')

  expect(said).toMatch(/TLSv1\.2/)
  // A ClientHello tells its server name in clear, and TLS 1.2 the certificate: both lie inside the TLS of the mesh.
  expect(await capture.saw(NAME)).toBe(false)
})
