// The carts, kept in Redis: GET /carts/USER, POST /carts/USER?product=ID, DELETE /carts/USER.
import { createRedis } from './redis.ts'
import { serve } from './server.ts'

const redis = createRedis(process.env['REDIS'] ?? 'redis:6379')

async function cartOf(key: string): Promise<Record<string, number>> {
  const flat = (await redis('HGETALL', key)) as string[]
  const cart: Record<string, number> = {}
  for (let i = 0; i < flat.length; i += 2) cart[flat[i] ?? ''] = Number(flat[i + 1])
  return cart
}

serve('cart', async (request, url) => {
  const user = /^\/carts\/(\w{1,40})$/.exec(url.pathname)?.[1]
  if (user === undefined) return undefined
  const key = `cart:${user}`
  if (request.method === 'DELETE') await redis('DEL', key)
  if (request.method === 'POST') {
    const product = url.searchParams.get('product')
    if (product === null) return { status: 400, body: { error: 'say which: ?product=ID' } }
    await redis('HINCRBY', key, product, '1')
  }
  return { body: { user, items: await cartOf(key) } }
})
