import { expect, test } from 'vitest'
import { startPages } from './pages.ts'

const LOOPBACK = { host: '127.0.0.1', port: 0 }

test('metrics are read anew each time, readiness is told by its status, and nothing else is there', async () => {
  let count = 0
  let isReady = false
  await using pages = await startPages([LOOPBACK], { metrics: () => `count ${++count}\n`, isReady: () => isReady })
  const get = async (path: string, method = 'GET') => {
    const answer = await fetch(`http://127.0.0.1:${pages.ports[0]}${path}`, { method })
    return [answer.status, await answer.text()]
  }
  expect(await get('/metrics')).toEqual([200, 'count 1\n'])
  expect(await get('/metrics?name=x')).toEqual([200, 'count 2\n'])
  expect(await get('/ready')).toEqual([503, 'not ready\n'])
  isReady = true
  expect(await get('/ready')).toEqual([200, 'ready\n'])
  expect(await get('/live')).toEqual([200, 'alive\n'])
  const nothing = [404, 'there are: GET /metrics, /ready, /live\n']
  expect(await get('/constructor')).toEqual(nothing)
  expect(await get('/metrics', 'POST')).toEqual(nothing)
})

test('when one address cannot be had none is, and the error names it', async () => {
  const options = { metrics: () => '', isReady: () => true }
  await using first = await startPages([LOOPBACK], options)
  const taken = { host: '127.0.0.1', port: first.ports[0] ?? 0 }
  await expect(startPages([{ host: '127.0.0.2', port: taken.port }, taken], options)).rejects.toThrow(
    `127.0.0.1:${taken.port} cannot be bound for metrics`,
  )
  await expect(fetch(`http://127.0.0.2:${taken.port}/live`)).rejects.toThrow()
})
