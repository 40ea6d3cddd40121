// The certificate of the webhook before a real API server: it is trusted from the first pod on, and a renewal refuses none.
import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ManualClock } from '#shared/clock.ts'
import { CONFIG_MAPS, MUTATING_WEBHOOKS } from '#shared/kube/objects.ts'
import { silentLog } from '#shared/log.ts'
import type { CertificateSource } from '#shared/webhook/certificate.ts'
import { createSecretCertificate } from '#shared/webhook/certificate-secret.ts'
import { type ApiServer, startApiServer } from '../support/apiserver.ts'

const DAY_MS = 24 * 3600 * 1000

describe('with a real API server', () => {
  // The API server has its own clock: what is made first began then, what follows begins now.
  const clock = new ManualClock(Date.now() - 61 * DAY_MS)
  const shown = new Set<string>()
  let api: ApiServer
  let source: CertificateSource
  let server: ReturnType<typeof createServer>
  let made = 0

  beforeAll(async () => {
    api = await startApiServer()
    server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `https://localhost:${(server.address() as AddressInfo).port}/mutate`
    const rule = { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'] }
    const webhook = { name: 'test.weft.dev', clientConfig: { url }, rules: [rule], sideEffects: 'None' }
    const rest = { admissionReviewVersions: ['v1'], failurePolicy: 'Fail', timeoutSeconds: 5 }
    const selector = { matchLabels: { 'kubernetes.io/metadata.name': 'default' } }
    const webhooks = [{ ...webhook, ...rest, namespaceSelector: selector }]
    await api.client.create(MUTATING_WEBHOOKS, { metadata: { name: 'weft-injector' }, webhooks })
    const place = { namespace: 'default', name: 'weft-injector-tls' }
    const told = { names: ['localhost'], mutating: ['weft-injector'] }
    source = await createSecretCertificate({ client: api.client, ...place, ...told, clock, log: silentLog })
    const show = () => {
      const { certificate: cert, key } = source.certificate.current
      shown.add(cert)
      server.setSecureContext({ cert, key })
    }
    show()
    source.certificate.subscribe(show)
    server.on('request', async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
      const review = JSON.parse(Buffer.concat(chunks).toString()) as { request: { uid: string } }
      const answer = { uid: review.request.uid, allowed: true, warnings: ['asked'] }
      // Closed, so that each review is a new handshake.
      response.writeHead(200, { 'content-type': 'application/json', connection: 'close' })
      response.end(JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: answer }))
    })
  }, 120_000)
  afterAll(async () => {
    source?.close()
    server?.close()
    await api?.[Symbol.asyncDispose]()
  })

  const tryIt = () =>
    api.client.create(CONFIG_MAPS, { metadata: { namespace: 'default', name: `object-${++made}` } }).then(
      () => 'taken',
      (error: Error) => error.message,
    )
  /** An API server hears of a changed configuration a little later. */
  async function untilTaken(): Promise<void> {
    for (;;) if ((await tryIt()) === 'taken') return
  }

  test('the API server trusts the certificate, and goes on through a renewal without one refusal', async () => {
    await untilTaken()
    const [first] = shown
    clock.advance(61 * DAY_MS)
    const outcomes = new Set<string>()
    while (shown.size < 2) {
      // One look of a replica; between two the API server has some of the time that it would have.
      clock.advance(10_000)
      for (let times = 0; times < 10; times++) outcomes.add(await tryIt())
    }
    for (let times = 0; times < 5; times++) outcomes.add(await tryIt())
    expect(source.certificate.current.certificate).not.toBe(first)
    expect([...outcomes]).toEqual(['taken'])
  })

  test('and a server with any other certificate is refused', async () => {
    const { makeSelfSigned } = await import('#shared/webhook/self-signed.ts')
    const lasting = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 60_000) }
    const { certificate: cert, key } = makeSelfSigned({ names: ['localhost'], ...lasting })
    server.setSecureContext({ cert, key })
    expect(await tryIt()).toMatch(/failed calling webhook.*(unknown authority|certificate)/)
  })
})
