import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { askToDrain } from './ask-to-drain.ts'

async function startAdmin(status: number) {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers.host}`)
    response.writeHead(status).end('over')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { asked, port, [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())) }
}

test('the sidecar is asked as a program of the pod asks, and waited for', async () => {
  await using admin = await startAdmin(200)

  expect(await askToDrain(admin.port)).toBe('over')
  expect(admin.asked).toEqual([`POST /drain 127.0.0.1:${admin.port}`])
})

test('a sidecar that does not drain is a hook that fails, with what it said', async () => {
  await using admin = await startAdmin(500)

  await expect(askToDrain(admin.port)).rejects.toThrow('the sidecar answered 500: over')
})
