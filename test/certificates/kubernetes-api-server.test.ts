// The attempts of kubernetes-suite.ts against a real API server: its TokenReview, its RBAC with the rights that the chart gives.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { systemClock } from '#shared/clock.ts'
import { readCertificates, requireChainToRoot } from '#shared/identity/pem.ts'
import { spiffeIdOf } from '#shared/identity/x509.ts'
import { createKubeClient } from '#shared/kube/client.ts'
import { readKubeconfig } from '#shared/kube/config.ts'
import { CONFIG_MAPS, type KubeObject, NAMESPACES, type ObjectName, SECRETS } from '#shared/kube/objects.ts'
import { makeRoot } from '../../certs/authority.ts'
import { makeCsr, startTestCerts } from '../support/certs.ts'
import { makeIntermediate } from '../support/intermediate.ts'
import { type RealWorld, startRealWorld } from '../support/kubernetes-world.ts'
import { type Attempts, testSpoofing } from './kubernetes-suite.ts'

const WEB = 'spiffe://weft.local/ns/shop/sa/web'

describe('with a real API server', () => testSpoofing(startRealWorld, more))

describe('a root that is given', () => {
  const place: ObjectName = { namespace: 'weft-system', name: 'weft-root' }
  const give = (world: RealWorld, pair: Readonly<Record<string, string>>) => {
    const encoded = Object.entries(pair).map(([key, text]) => [key, Buffer.from(text).toString('base64')])
    const secret = { metadata: place, type: 'kubernetes.io/tls', data: Object.fromEntries(encoded) }
    return world.client.create(SECRETS, secret)
  }

  test('is used as it is: a root alone, or an intermediate and the root above it', async () => {
    await using world = await startRealWorld()
    const start = () => startTestCerts({ kubeconfig: world.kubeconfig, isRootGiven: true })
    await expect(start()).rejects.toThrow('Secret weft-system/weft-root is not there, and WEFT_ROOT_FROM=given')
    const pod = await world.putPod('web', 'web', '127.0.6.1')
    const own = await makeRoot({ trustDomain: 'weft.local', wallMs: Date.now() })
    const theirs = await makeIntermediate()
    const given = [
      { pair: { 'tls.crt': own.root, 'tls.key': own.key }, root: own.root, above: [] },
      {
        pair: { 'tls.crt': theirs.chain, 'tls.key': theirs.key, 'ca.crt': theirs.root },
        root: theirs.root,
        above: [theirs.chain],
      },
    ]
    for (const { pair, root, above } of given) {
      const { metadata, data } = await give(world, pair)
      const certs = await start()
      try {
        const request = { csr: makeCsr(WEB), token: await world.tokenOf(pod, 'own') }
        const { chainPem, rootsPem } = await certs.sign(request, '127.0.6.1')
        expect(rootsPem).toBe(root)
        const [leaf, ...rest] = readCertificates(chainPem)
        expect(rest.map(String)).toEqual(above.map((pem) => String(new X509Certificate(pem))))
        expect(leaf?.verify(new X509Certificate(above[0] ?? root).publicKey)).toBe(true)
        requireChainToRoot(chainPem, root, Date.now())
        await expect
          .poll(async () => (await bundleIn(world, 'shop'))?.['data'], { timeout: 20_000 })
          .toEqual({
            'bundle.pem': root,
          })
        const after = await world.client.get(SECRETS, place)
        expect([after.metadata.resourceVersion, after['data']]).toEqual([metadata.resourceVersion, data])
      } finally {
        await certs[Symbol.asyncDispose]()
        await world.client.remove(SECRETS, place)
      }
    }
  })
})

const bundleIn = async (world: RealWorld, namespace: string): Promise<KubeObject | undefined> => {
  const place: ObjectName = { namespace, name: 'weft-trust-bundle' }
  return world.client.get(CONFIG_MAPS, place).catch(() => undefined)
}

function more(now: () => Attempts<RealWorld>): void {
  test('a token that we made as the expired and the foreign one were is good, so those are refused for what they are', async () => {
    const { world, certs, pod, address } = now()
    const { chainPem } = await certs.sign({ csr: makeCsr(WEB), token: world.forge(pod) }, address)
    expect(spiffeIdOf(new X509Certificate(chainPem).raw)).toBe(WEB)
  })

  test('the API server takes a token from a Secret for itself, and certs does not', async () => {
    const { world } = now()
    const admin = await world.putPod('admin-of-old', 'admin', '127.0.5.1')
    expect(await world.isTaken(await world.tokenOf(admin, 'of a Secret'))).toBe(true)
  })

  test('the root is in a Secret that the API server takes for a pair of certificate and key', async () => {
    const { world, certs } = now()
    const secret = await world.client.get(SECRETS, { namespace: 'weft-system', name: 'weft-root' })
    const data = secret['data'] as Readonly<Record<string, string>>
    const text = (key: string) => Buffer.from(data[key] ?? '', 'base64').toString()
    expect(secret['type']).toBe('kubernetes.io/tls')
    expect(text('ca.crt')).toBe(certs.roots)
    expect(new X509Certificate(text('tls.crt')).checkPrivateKey(createPrivateKey(text('tls.key')))).toBe(true)
  })

  const published = async (world: RealWorld, namespace: string) => {
    for (;;) {
      const found = await bundleIn(world, namespace)
      if (found !== undefined) return found
      await sleep(50)
    }
  }

  test('the bundle is where sidecars are, comes where they come and goes where they went', async () => {
    const { world, certs } = now()
    for (const namespace of ['shop', 'weft-system']) {
      expect((await published(world, namespace))['data']).toEqual({ 'bundle.pem': certs.roots })
    }
    expect(await bundleIn(world, 'quiet')).toBeUndefined()
    await world.client.patch(NAMESPACES, { name: 'quiet' }, { metadata: { labels: { 'weft.dev/inject': 'enabled' } } })
    expect((await published(world, 'quiet'))['data']).toEqual({ 'bundle.pem': certs.roots })
    await world.client.patch(NAMESPACES, { name: 'quiet' }, { metadata: { labels: { 'weft.dev/inject': null } } })
    await expect.poll(() => bundleIn(world, 'quiet'), { timeout: 20_000 }).toBeUndefined()
  })

  test('with its rights certs reads no other Secret, changes no root and no other ConfigMap, and sees no more', async () => {
    const { world } = now()
    const connection = await readKubeconfig(world.kubeconfig)
    const certs = createKubeClient({ connection, clock: systemClock, userAgent: 'test' })
    const metadata = { namespace: 'shop', name: 'something' }
    const root = { namespace: 'weft-system', name: 'weft-root' }
    const denied = { status: 403 }
    const attempts: readonly (() => Promise<unknown>)[] = [
      () => certs.get(SECRETS, metadata),
      () => certs.list(SECRETS, { namespace: 'weft-system' }),
      () => certs.create(SECRETS, { metadata }),
      () => certs.patch(SECRETS, root, { data: {} }),
      () => certs.remove(SECRETS, root),
      () => certs.get(CONFIG_MAPS, metadata),
      () => certs.list(CONFIG_MAPS),
      () => certs.create(CONFIG_MAPS, { metadata }),
      () => certs.apply(CONFIG_MAPS, { metadata }, { fieldManager: 'test' }),
      () =>
        certs.patch(
          CONFIG_MAPS,
          { namespace: 'kube-system', name: 'extension-apiserver-authentication' },
          { data: {} },
        ),
      () => certs.send('list nodes', 'GET', '/api/v1/nodes'),
      () => certs.send('make a token', 'POST', '/api/v1/namespaces/shop/serviceaccounts/web/token', {}),
    ]
    for (const attempt of attempts) await expect(attempt()).rejects.toMatchObject(denied)
    certs.close()
  })
}
