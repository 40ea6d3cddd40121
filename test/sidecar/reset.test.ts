// A connection that was cut must not look complete at its far end, although TLS lies between the sidecars.
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { portOf, startPair } from '../support/pair.ts'

async function throughPair(): Promise<{ client: Socket; application: Socket } & AsyncDisposable> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const pair = await startPair({ application: portOf(server) })
  const client = connect({ port: pair.port, host: '127.0.0.1', allowHalfOpen: true })
  client.write('\0no HTTP')
  const [application] = (await once(server, 'connection')) as [Socket]
  await once(application, 'data')
  application.write('part of an answer')
  await once(client, 'data')
  return {
    client,
    application,
    async [Symbol.asyncDispose]() {
      for (const socket of [client, application]) socket.destroy()
      server.close()
      await pair[Symbol.asyncDispose]()
    },
  }
}

/** How it ended: end, or the code of the error. */
function fateOf(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.once('end', () => resolve('end'))
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    socket.resume()
  })
}

test.each([
  ['application', 'client'],
  ['client', 'application'],
] as const)('a reset by the %s reaches the %s as a reset, through two sidecars', async (cutter, reader) => {
  await using ends = await throughPair()
  const fate = fateOf(ends[reader])
  ends[cutter].resetAndDestroy()

  expect(await fate).toBe('ECONNRESET')
})

test('an orderly end stays one', async () => {
  await using ends = await throughPair()
  const fate = fateOf(ends.client)
  ends.application.end()

  expect(await fate).toBe('end')
})
