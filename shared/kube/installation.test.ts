import { expect, test } from 'vitest'
import { systemClock } from '#shared/clock.ts'
import { startFakeApiServer } from '../../test/support/fake-api-server.ts'
import { createKubeClient } from './client.ts'
import { createOwners, INSTALLATION } from './installation.ts'
import { CLUSTER_ROLES } from './objects.ts'

async function startApi() {
  const api = await startFakeApiServer(CLUSTER_ROLES)
  const client = createKubeClient({ connection: api.connection, clock: systemClock, userAgent: 'test' })
  return {
    api,
    owners: createOwners(client),
    async [Symbol.asyncDispose]() {
      client.close()
      await api[Symbol.asyncDispose]()
    },
  }
}

test('the owner is the ClusterRole of the chart as it is now', async () => {
  await using server = await startApi()
  for (const uid of ['1-2-3', '4-5-6']) {
    server.api.put(CLUSTER_ROLES, { metadata: { name: INSTALLATION, uid } })
    expect(await server.owners()).toEqual([
      { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', name: INSTALLATION, uid },
    ])
  }
})

test('without the chart, or with roles that are older than the program, there is no owner', async () => {
  await using server = await startApi()
  expect(await server.owners()).toEqual([])
  server.api.refuse('GET /apis/rbac', 403)
  expect(await server.owners()).toEqual([])
})

test('when the installation has gone nothing is made that would stay', async () => {
  await using server = await startApi()
  server.api.put(CLUSTER_ROLES, { metadata: { name: INSTALLATION } })
  await server.owners()
  server.api.remove(CLUSTER_ROLES, INSTALLATION)
  await expect(server.owners()).rejects.toThrow('ClusterRole weft-installation is gone')
})

test('an API server that fails is no sign of anything', async () => {
  await using server = await startApi()
  server.api.refuse('GET /apis/rbac', 400)
  await expect(server.owners()).rejects.toThrow('400')
})
