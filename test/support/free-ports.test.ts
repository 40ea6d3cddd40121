import { once } from 'node:events'
import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { freePorts } from './free-ports.ts'

test('free ports differ, can be listened on, and are none that a connection would get', async () => {
  const ports = await freePorts(50)
  expect(new Set(ports).size).toBe(50)
  for (const port of ports) expect(port).toBeLessThan(32_768)
  const server = createServer().listen(ports[0], '127.0.0.1')
  await once(server, 'listening')
  await once(server.close(), 'close')
})

test('a port that somebody has is not free', async () => {
  const [port = 0] = await freePorts(1)
  await using server = createServer().listen(port, '127.0.0.1')
  await once(server, 'listening')
  const drawn = [(port - 16_000 + 0.5) / 14_000]
  expect(await freePorts(1, () => drawn.pop() ?? Math.random())).not.toEqual([port])
  expect(drawn).toEqual([])
})
