import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { metricsPage } from './metrics-page.ts'

const NEVER = new AbortController().signal
const OURS = 'weft_own 1\n'

async function startApplication(status: number, body: string) {
  const asked: unknown[] = []
  const server = createServer((request, response) => {
    asked.push(request.url)
    response.writeHead(status).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const stop = () => new Promise<void>((resolve) => server.close(() => resolve()))
  return { asked, place: { host: '127.0.0.1', port, path: '/m?x=1' }, stop, [Symbol.asyncDispose]: stop }
}

async function pageOf(application?: { host: string; port: number; path: string }): Promise<string> {
  const reply = await metricsPage(() => OURS, application)(new URLSearchParams(), NEVER)
  expect(reply.status).toBe(200)
  return reply.body
}

test('the metrics of the application stand below those of the sidecar', async () => {
  await using application = await startApplication(200, 'shop_orders_total 7\n# EOF\n')

  const page = await pageOf(application.place)

  expect(page.startsWith(OURS)).toBe(true)
  expect(page).toMatch(/weft_application_metrics_up 1\nshop_orders_total 7\n$/)
  expect(application.asked).toEqual(['/m?x=1'])
})

test('an application that shows none leaves those of the sidecar whole, and is seen to be down', async () => {
  await using application = await startApplication(500, 'shop_orders_total 7\n')
  const failing = await pageOf(application.place)
  const gone = await startApplication(200, '')
  await gone.stop()

  for (const page of [failing, await pageOf(gone.place)]) {
    expect(page.startsWith(OURS)).toBe(true)
    expect(page).toMatch(/weft_application_metrics_up 0\n$/)
  }
})

test('without an application to ask there is nothing but the sidecar', async () => {
  expect(await pageOf()).toBe(OURS)
})
