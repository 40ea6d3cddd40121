// The shop's front: asks the other services and puts one answer together. It says what each of them answered, also when
// that was an error, so that what the mesh does can be seen from here.
import type { IncomingHttpHeaders } from 'node:http'
import type { Payment } from './payment-client.ts'
import { readPrice } from './price-client.ts'
import { passOn, serve } from './server.ts'

interface Answer {
  readonly status: number
  readonly [field: string]: unknown
}

async function ask(target: string, headers: IncomingHttpHeaders, method = 'GET'): Promise<Answer> {
  const response = await fetch(`http://${target}`, { method, headers: passOn(headers) })
  const text = await response.text()
  if (!(response.headers.get('content-type') ?? '').includes('application/json')) {
    return { status: response.status, error: text.trim().slice(0, 200) }
  }
  return { status: response.status, ...(JSON.parse(text) as object) }
}

async function home(headers: IncomingHttpHeaders) {
  const [catalog, cart, reviews] = await Promise.all([
    ask('catalog:8080/products', headers),
    ask('cart:8080/carts/guest', headers),
    ask('reviews:8080/reviews/1', headers),
  ])
  return { catalog, cart, reviews }
}

async function product(id: string, headers: IncomingHttpHeaders) {
  const [catalog, reviews] = await Promise.all([
    ask(`catalog:8080/products/${id}`, headers),
    ask(`reviews:8080/reviews/${id}`, headers),
  ])
  return { catalog, reviews }
}

/** Made when it is first asked for, and kept: one connection for all calls. */
let payment: Promise<Payment> | undefined
const openPayment = async () => (await import('./payment-client.ts')).connectPayment('payment:8080')

async function pay(url: URL, headers: IncomingHttpHeaders) {
  payment ??= openPayment()
  const product = url.searchParams.get('product') ?? '1'
  const cents = Number(url.searchParams.get('cents') ?? 4200)
  return (await payment).charge({ customer: 'guest', product, cents }, passOn(headers))
}

async function receipts(url: URL, headers: IncomingHttpHeaders) {
  payment ??= openPayment()
  const count = Number(url.searchParams.get('count') ?? 3)
  return { receipts: await (await payment).receipts({ customer: 'guest', count }, passOn(headers)) }
}

serve('web', async (request, url) => {
  const { headers, method } = request
  const id = /^\/product\/(\w+)$/.exec(url.pathname)?.[1]
  if (url.pathname === '/') return { body: await home(headers) }
  if (id !== undefined) return { body: await product(id, headers) }
  if (url.pathname === '/catalog') return { body: await ask('catalog:8080/products', headers) }
  // ?outage makes every replica answer 503, whoever asks.
  if (url.pathname === '/reviews') return { body: await ask(`reviews:8080/reviews/1${url.search}`, headers) }
  if (url.pathname === '/price') return { body: await readPrice('price-feed:8080', headers) }
  if (url.pathname === '/cart') return { body: await ask(`cart:8080/carts/guest${url.search}`, headers, method) }
  if (url.pathname === '/pay' && method === 'POST') return { body: await pay(url, headers) }
  if (url.pathname === '/receipts') return { body: await receipts(url, headers) }
  return undefined
})
