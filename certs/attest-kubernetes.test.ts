import { afterEach, beforeEach, expect, test } from 'vitest'
import { ManualClock, systemClock } from '#shared/clock.ts'
import { createKubeClient, type KubeClient } from '#shared/kube/client.ts'
import { PODS } from '#shared/kube/objects.ts'
import { startTokenApiServer, type TokenApiServer } from '../test/support/token-reviews.ts'
import type { Attestor } from './attest.ts'
import { createKubernetesAttestor } from './attest-kubernetes.ts'

const TOKEN = 'header.claims-of-web.signature'
const WEB = { id: 'spiffe://weft.local/ns/shop/sa/web' }
const AUDIENCE = 'weft.dev/certs'
const POD = {
  metadata: { namespace: 'shop', name: 'web-1', uid: 'uid-1' },
  spec: { serviceAccountName: 'web' },
  status: { phase: 'Running', podIPs: [{ ip: '10.244.0.5' }, { ip: 'FD00:0::5' }] },
}
const REVIEW = {
  authenticated: true,
  audiences: [AUDIENCE],
  user: {
    username: 'system:serviceaccount:shop:web',
    extra: {
      'authentication.kubernetes.io/pod-name': ['web-1'],
      'authentication.kubernetes.io/pod-uid': ['uid-1'],
    },
  },
}

let server: TokenApiServer
let client: KubeClient
let attestor: Attestor
beforeEach(async () => {
  server = await startTokenApiServer(PODS)
  client = createKubeClient({ connection: server.connection, clock: systemClock, userAgent: 'test' })
  attestor = createKubernetesAttestor({ client, trustDomain: 'weft.local', audience: AUDIENCE, clock: systemClock })
  server.vouch(TOKEN, REVIEW)
  server.api.put(PODS, POD)
})
afterEach(async () => {
  client.close()
  await server[Symbol.asyncDispose]()
})

test.each(['10.244.0.5', 'fd00::5'])('a token is good from %s, an address of its pod', async (source) => {
  expect(await attestor.attest(TOKEN, source)).toEqual(WEB)
  expect(server.reviews).toEqual([{ token: TOKEN, audiences: [AUDIENCE] }])
})

test.each(['10.244.0.6', 'fd00::6', '127.0.0.1'])('the same token is refused from %s', async (source) => {
  const refusal = 'the token is of pod shop/web-1, which has not this address'
  expect(await attestor.attest(TOKEN, source)).toEqual({ refusal })
})

test.each([
  ['nothing', ''],
  ['words', 'not a token'],
  ['two parts', 'header.claims'],
  ['bytes that end a header', 'header.claims.signature\r\nX: y'],
  ['9000 characters', `a.${'x'.repeat(9000)}.c`],
])('%s instead of a token is refused without asking the API server', async (_what, token) => {
  expect(await attestor.attest(token, '10.244.0.5')).toEqual({ refusal: 'no token, or nothing like one' })
  expect(server.reviews).toEqual([])
})

const USER = REVIEW.user
test.each([
  [
    'is not known',
    { authenticated: false, error: 'token expired' },
    'the API server does not know the token: token expired',
  ],
  ['is answered with nothing', {}, 'the API server does not know the token: no reason given'],
  ['is known to one that ignores audiences', { ...REVIEW, audiences: undefined }, `the token is not for ${AUDIENCE}`],
  ['is for another audience', { ...REVIEW, audiences: ['vault'] }, `the token is not for ${AUDIENCE}`],
  [
    'is that of a person',
    { ...REVIEW, user: { ...USER, username: 'admin' } },
    'the token is of admin, which is no service account',
  ],
  [
    'is that of a name that only looks like a service account',
    { ...REVIEW, user: { ...USER, username: 'x:system:serviceaccount:shop:web' } },
    'the token is of x:system:serviceaccount:shop:web, which is no service account',
  ],
  ['is bound to no pod', { ...REVIEW, user: { ...USER, extra: {} } }, 'the token of shop/web is bound to no pod'],
  [
    'is bound to two pods',
    {
      ...REVIEW,
      user: { ...USER, extra: { ...USER.extra, 'authentication.kubernetes.io/pod-name': ['web-1', 'web-2'] } },
    },
    'the token of shop/web is bound to no pod',
  ],
])('a token that %s is refused', async (_what, status, refusal) => {
  server.vouch(TOKEN, status)
  expect(await attestor.attest(TOKEN, '10.244.0.5')).toEqual({ refusal })
})

test('a token of a pod that is gone is refused', async () => {
  server.api.remove(PODS, 'shop/web-1')
  const refusal = 'the token is of pod shop/web-1, which is gone'
  expect(await attestor.attest(TOKEN, '10.244.0.5')).toEqual({ refusal })
})

test.each([
  ['another uid', { metadata: { ...POD.metadata, uid: 'uid-2' } }, 'the token is of an earlier pod shop/web-1'],
  ['another service account', { spec: { serviceAccountName: 'api' } }, 'pod shop/web-1 has another service account'],
  ['an end, by success', { status: { ...POD.status, phase: 'Succeeded' } }, 'pod shop/web-1 is over (Succeeded)'],
  ['an end, by failure', { status: { ...POD.status, phase: 'Failed' } }, 'pod shop/web-1 is over (Failed)'],
])('a token is refused when its pod has %s', async (_what, change, refusal) => {
  server.api.put(PODS, { ...POD, ...change })
  expect(await attestor.attest(TOKEN, '10.244.0.5')).toEqual({ refusal })
})

test('a pod that is being deleted still renews', async () => {
  server.api.put(PODS, { ...POD, metadata: { ...POD.metadata, deletionTimestamp: '2026-06-01T12:00:00Z' } })
  expect(await attestor.attest(TOKEN, '10.244.0.5')).toEqual(WEB)
})

test.each([500, 429, 403])(
  'an API server that answers %i refuses nobody for good, and nothing is remembered',
  async (code) => {
    server.failWith(code)
    expect(await attestor.attest(TOKEN, '10.244.0.5')).toMatchObject({
      refusal: expect.stringContaining(`the API server cannot be asked: review a token: ${code}`),
      isTransient: true,
    })
    server.failWith(null)
    server.api.refuse('GET /api/v1/namespaces/shop/pods/web-1', code)
    expect(await attestor.attest(TOKEN, '10.244.0.5')).toMatchObject({ isTransient: true })
    expect(await attestor.attest(TOKEN, '10.244.0.5')).toEqual(WEB)
  },
)

test('a pod whose address the API server does not know yet is waited for', async () => {
  server.api.put(PODS, { ...POD, status: { phase: 'Pending' } })
  const answer = attestor.attest(TOKEN, '10.244.0.5')
  await server.api.until(() => server.api.requests.length > 0)
  server.api.put(PODS, POD)
  expect(await answer).toEqual(WEB)
})

test('and when it gets none, its sidecar is to try again', async () => {
  server.api.put(PODS, { ...POD, status: { phase: 'Pending' } })
  const clock = new ManualClock()
  const patient = createKubernetesAttestor({ client, trustDomain: 'weft.local', audience: AUDIENCE, clock })
  let isAnswered = false
  const answer = Promise.resolve(patient.attest(TOKEN, '10.244.0.5')).finally(() => {
    isAnswered = true
  })
  while (!isAnswered) {
    clock.advance(250)
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(await answer).toEqual({ refusal: 'pod shop/web-1 has no address yet', isTransient: true })
  expect(server.api.requests.length).toBe(12)
})
