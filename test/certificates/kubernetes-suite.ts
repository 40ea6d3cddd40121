// What certs must never do on Kubernetes: give an identity to anybody but its owner. The same attempts in a world with a real API
// server and in one with a fake. Real gRPC over real sockets; every refusal must be in the log with its reason.
import { X509Certificate } from 'node:crypto'
import { status } from '@grpc/grpc-js'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { spiffeIdOf } from '#shared/identity/x509.ts'
import { makeCsr, startTestCerts, type TestCerts } from '../support/certs.ts'
import { type Claims, csrClaiming, csrOf } from '../support/csr.ts'
import type { KubernetesWorld, TestPod, TokenKind } from '../support/kubernetes-world.ts'

const WEB = 'spiffe://weft.local/ns/shop/sa/web'
const ADMIN = 'spiffe://weft.local/ns/shop/sa/admin'
const REFUSED = {
  code: status.UNAUTHENTICATED,
  details: 'the token is not good from this address; see the log of certs',
}

export interface Attempts<W> {
  readonly world: W
  readonly certs: TestCerts
  readonly pod: TestPod
  readonly address: string
}

/** `more`: further tests in the same world, which ask for what there is while they run. */
export function testSpoofing<W extends KubernetesWorld>(
  start: () => Promise<W>,
  more: (now: () => Attempts<W>) => void = () => {},
): void {
  let world: W
  let certs: TestCerts
  /** Each test has pods and addresses of its own, as the limit is per address. */
  let count = 1
  let address = ''
  let neighbour = ''
  let pod: TestPod
  beforeAll(async () => {
    world = await start()
    certs = await startTestCerts({ kubeconfig: world.kubeconfig })
  }, 120_000)
  afterAll(async () => {
    await certs?.[Symbol.asyncDispose]()
    await world?.[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    address = `127.0.3.${++count}`
    neighbour = `127.0.4.${count}`
    pod = await world.putPod(`web-${count}`, 'web', address)
  })

  async function refusal(
    token: string,
    source = address,
    csr = makeCsr(WEB),
  ): Promise<{ code: number; reason: string }> {
    const before = certs.logged.length
    const error = await certs.sign({ csr, token }, source).then(
      () => new Error('a certificate was issued'),
      (reason: unknown) => reason,
    )
    const { code, details } = error as { code: number; details: string }
    if (details === undefined) throw error
    const line = certs.logged.slice(before).find(({ msg }) => msg === 'refused to sign')
    expect(line).toMatchObject({ source, reason: expect.any(String) })
    if (token.length > 20) expect(JSON.stringify(certs.logged.slice(before))).not.toContain(token)
    if (code === status.UNAUTHENTICATED) expect({ code, details }).toEqual(REFUSED)
    return { code, reason: String(line?.['reason']) }
  }
  const refusedToken = { code: status.UNAUTHENTICATED, reason: expect.any(String) }

  test('the owner of a token gets its own identity', async () => {
    const token = await world.tokenOf(pod, 'own')
    const { chainPem, rootsPem } = await certs.sign({ csr: makeCsr(WEB), token }, address)
    const leaf = new X509Certificate(chainPem)
    expect(spiffeIdOf(leaf.raw)).toBe(WEB)
    expect(leaf.verify(new X509Certificate(rootsPem).publicKey)).toBe(true)
  })

  const CLAIMS: readonly (readonly [string, Claims, readonly string[]])[] = [
    ['another service account', { names: [{ type: 'url', value: ADMIN }] }, [`url ${ADMIN}`]],
    [
      'its own service account and others beside it',
      {
        names: [
          { type: 'url', value: WEB },
          { type: 'url', value: ADMIN },
          { type: 'dns', value: 'weft-control.weft-system.svc' },
          { type: 'ip', value: '10.0.0.1' },
        ],
      },
      [`url ${ADMIN}`, 'dns weft-control.weft-system.svc', 'ip 10.0.0.1'],
    ],
    ['an authority (CA:true)', { isAuthority: true }, ['CA:true', 'key usages 96']],
    ['a subject', { subject: 'CN=admin' }, ['subject CN=admin']],
  ]
  test.each(CLAIMS)('1. a CSR that claims %s gets its own identity and no more, and it is logged', async (...row) => {
    const [, claims, ignored] = row
    const before = certs.logged.length
    const token = await world.tokenOf(pod, 'own')
    const { chainPem } = await certs.sign({ csr: await csrClaiming(claims), token }, address)
    const leaf = new X509Certificate(chainPem)
    expect(leaf).toMatchObject({ subjectAltName: `URI:${WEB}`, subject: undefined, ca: false })
    expect(leaf.checkIssued(leaf)).toBe(false)
    const told = { msg: 'a CSR claims what its owner does not get', source: address, id: WEB, ignored }
    expect(certs.logged.slice(before)).toContainEqual(expect.objectContaining(told))
  })

  test('what a sidecar asks for is all its own, and nothing is said of claims', async () => {
    const before = certs.logged.length
    await certs.sign({ csr: makeCsr(WEB), token: await world.tokenOf(pod, 'own') }, address)
    expect(certs.logged.slice(before).map(({ msg }) => msg)).toEqual(['certificate issued'])
  })

  const WRONG: readonly (readonly [number, string, TokenKind])[] = [
    [2, 'for another audience', 'other audience'],
    [3, 'for the API server itself', 'for the API server'],
    [4, 'that has expired', 'expired'],
    [5, 'of our audience that is bound to no pod', 'unbound'],
    [6, 'of the old kind, from a Secret', 'of a Secret'],
    [7, 'of the issuer of another cluster', 'of another cluster'],
  ]
  test.each(WRONG)('%i. a token %s gets nothing', async (_number, _what, kind) => {
    expect(await refusal(await world.tokenOf(pod, kind))).toEqual(refusedToken)
  })

  test('8. a token is of no use once its pod is deleted, at once', async () => {
    const token = await world.tokenOf(pod, 'own')
    await certs.sign({ csr: makeCsr(WEB), token }, address)
    await world.deletePod(pod)
    expect(await refusal(token)).toEqual(refusedToken)
  })

  test('9. a token is of no use to the next pod of that name and address', async () => {
    const token = await world.tokenOf(pod, 'own')
    await certs.sign({ csr: makeCsr(WEB), token }, address)
    await world.deletePod(pod)
    await world.putPod(pod.name, 'web', address)
    expect(await refusal(token)).toEqual(refusedToken)
  })

  test("10. a token is refused from an address other than its pod's", async () => {
    const reason = `the token is of pod shop/${pod.name}, which has not this address`
    expect(await refusal(await world.tokenOf(pod, 'own'), neighbour)).toEqual({ ...refusedToken, reason })
  })

  test('11. a request that was heard is useless when it is sent again from elsewhere', async () => {
    const request = { csr: makeCsr(WEB), token: await world.tokenOf(pod, 'own') }
    await certs.sign(request, address)
    expect(await refusal(request.token, neighbour, request.csr)).toEqual(refusedToken)
  })

  test('12. another pod that sends a CSR it has heard gets its own name on a key that it has not', async () => {
    const csr = makeCsr(WEB)
    const admin = await world.putPod(`admin-${count}`, 'admin', neighbour)
    const { chainPem } = await certs.sign({ csr, token: await world.tokenOf(admin, 'own') }, neighbour)
    expect(spiffeIdOf(new X509Certificate(chainPem).raw)).toBe(ADMIN)
  })

  test.each([
    ['no token', () => ''],
    ['garbage', () => 'a guess'],
    ['garbage in three parts', () => 'a.b.c'],
    ['10000 letters', () => `a.${'b'.repeat(10_000)}.c`],
    ['a token without its signature', (token: string) => token.replace(/[^.]+$/, '')],
    ['a token that says it needs no signature', withoutAlgorithm],
    ['a token whose claims were changed', withClaims],
  ])('13. %s gets nothing', async (_what, change) => {
    expect(await refusal(change(await world.tokenOf(pod, 'own')))).toEqual(refusedToken)
  })

  test.each([
    ['an RSA key of 4096 bits', () => csrOf('rsa-4096'), 'the key of the CSR is not ECDSA P-256'],
    ['an RSA key of 1024 bits', () => csrOf('rsa-1024'), 'the key of the CSR is not ECDSA P-256'],
    ['a key of another curve', () => csrOf('P-384'), 'the key of the CSR is not ECDSA P-256'],
    ['an Ed25519 key', () => csrOf('ed25519'), 'the key of the CSR is not ECDSA P-256'],
    ['5000 bytes', () => Buffer.alloc(5000, 0x30), 'the CSR is longer than 4096 bytes'],
    ['garbage', () => Buffer.from('no request'), 'the CSR cannot be read'],
  ])('14. the owner of a token gets nothing for a CSR with %s', async (_what, make, reason) => {
    const answer = await refusal(await world.tokenOf(pod, 'own'), address, make())
    expect(answer).toEqual({ code: status.INVALID_ARGUMENT, reason: `${reason} (${WEB})` })
  })

  test('15. who asks too often is refused, whatever the token, and nobody else is', async () => {
    const [own, admin] = [await world.tokenOf(pod, 'own'), await world.putPod(`admin-${count}`, 'admin', neighbour)]
    const before = certs.logged.length
    const ask = (token: string) =>
      certs.sign({ csr: makeCsr(WEB), token }, address).then(
        () => status.OK,
        ({ code }: { code: status }) => code,
      )
    const answers: status[] = []
    for (let round = 0; round < 10 && !answers.includes(status.RESOURCE_EXHAUSTED); round++) {
      answers.push(...(await Promise.all(Array.from({ length: 10 }, () => ask('a guess')))))
    }
    expect(answers.indexOf(status.RESOURCE_EXHAUSTED)).toBeGreaterThanOrEqual(10)
    expect(await Promise.all(Array.from({ length: 10 }, () => ask(own)))).toContain(status.RESOURCE_EXHAUSTED)
    const told = { msg: 'refused to sign', source: address, reason: 'too many requests from this address' }
    expect(certs.logged.slice(before)).toContainEqual(expect.objectContaining(told))
    await certs.sign({ csr: makeCsr(ADMIN), token: await world.tokenOf(admin, 'own') }, neighbour)
  })

  more(() => ({ world, certs, pod, address }))
}

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

function withoutAlgorithm(token: string): string {
  const [, claims = '', signature = ''] = token.split('.')
  return `${encode({ alg: 'none', typ: 'JWT' })}.${claims}.${signature}`
}

function withClaims(token: string): string {
  const [head = '', claims = '', signature = ''] = token.split('.')
  const changed = JSON.parse(Buffer.from(claims, 'base64url').toString()) as object
  return `${head}.${encode({ ...changed, sub: 'system:serviceaccount:shop:admin' })}.${signature}`
}
