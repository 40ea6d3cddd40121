// A pod that calls itself is reached in process, without a wire that would copy: what one connection sends is never read on another.
import { afterEach, expect, test } from 'vitest'
import { applicationThat, closeAll, dial, heard, pairFor } from './attack.ts'

afterEach(closeAll)

const SIZE = 24 * 1024

test('an answer that waits for its reader within the process is still its own when others were answered meanwhile', async () => {
  const application = await applicationThat((socket, bytes) => {
    const letter = bytes.split(' ')[1]?.[1] ?? '?'
    for (let left = 200; left > 0; left--) socket.write(letter.repeat(SIZE))
    socket.end()
  })
  const ports = [{ port: application, protocol: 'opaque', service: null } as const]
  const pair = await pairFor({ application, config: { protocol: 'opaque' }, podAddresses: ['127.0.0.1'] })
  const [endpoint] = pair.endpoints.current
  if (endpoint === undefined || pair.clientWorkload.current === undefined) throw new Error('no endpoint')
  pair.clientWorkload.set({ ...pair.clientWorkload.current, ports })
  pair.endpoints.set([{ ...endpoint, address: { host: '127.0.0.1', port: application } }])
  const begin = (letter: string) => {
    const socket = dial(pair.port)
    socket.write(`GET /${letter} `)
    return socket
  }
  const slow = begin('a')
  slow.pause()
  const others = await Promise.all(['b', 'c', 'd', 'e'].map((letter) => heard(begin(letter))))
  const first = await heard(slow.resume())

  expect(first.replaceAll('a', '')).toBe('')
  expect(others.map((text) => new Set(text).size)).toEqual([1, 1, 1, 1])
  expect([first, ...others].map((text) => text.length)).toEqual(Array(5).fill(200 * SIZE))
})
