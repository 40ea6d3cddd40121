// The products. VERSION tells which release this is, so that a canary can be seen.
import { type Reply, serve } from './server.ts'

const VERSION = process.env['VERSION'] ?? 'v1'
const PRODUCTS = [
  { id: '1', name: 'Loom' },
  { id: '2', name: 'Shuttle' },
  { id: '3', name: 'Yarn, undyed' },
]

const reply = (body: object, status = 200): Reply => ({
  status,
  headers: { 'x-catalog-version': VERSION },
  body: { version: VERSION, ...body },
})

serve(`catalog ${VERSION}`, async (_request, url) => {
  if (url.pathname === '/products') return reply({ products: PRODUCTS })
  const id = /^\/products\/([^/]+)$/.exec(url.pathname)?.[1]
  if (id === undefined) return undefined
  const product = PRODUCTS.find((known) => known.id === id)
  return product === undefined ? reply({ error: `there is no product ${id}` }, 404) : reply({ product })
})
