// Power of two choices: of two endpoints drawn at random the one with fewer requests in flight for its weight.
// Looking for the least of all would send every sidecar to the same endpoint at once.
import type { Balancer, Endpoint, Picker } from '#flow/upstream.ts'
import type { Standing } from './standing.ts'
import { EMPTY_PICKER, withoutTried } from './tried.ts'

export function createLeastRequest(standingOf: (endpoint: Endpoint) => Standing, random: () => number): Balancer {
  const createPicker = (fit: readonly Endpoint[]): Picker => {
    const endpoints = fit.filter((endpoint) => endpoint.weight > 0)
    const [only] = endpoints
    if (only === undefined) return EMPTY_PICKER
    const standings = endpoints.map(standingOf)
    const draw = createDraw(endpoints, random)
    const load = (index: number) => (standings[index] as Standing).active / (endpoints[index] as Endpoint).weight
    const pickAny = (): Endpoint => {
      const first = draw.first()
      const other = draw.second(first)
      // A tie needs no further draw: the first one was drawn by weight.
      return endpoints[load(first) <= load(other) ? first : other] as Endpoint
    }
    return {
      pick(hash, tried) {
        if (tried.length === 0) return endpoints.length === 1 ? only : pickAny()
        const rest = withoutTried(endpoints, tried)
        return rest === null ? pickAny() : createPicker(rest).pick(hash, [])
      },
    }
  }
  return createPicker
}

interface Draw {
  first(): number
  second(first: number): number
}

function createDraw(endpoints: readonly Endpoint[], random: () => number): Draw {
  const count = endpoints.length
  if (count === 1) return { first: () => 0, second: () => 0 }
  if (endpoints.every((endpoint) => endpoint.weight === endpoints[0]?.weight)) {
    return {
      first: () => Math.floor(random() * count),
      second: (first) => (first + 1 + Math.floor(random() * (count - 1))) % count,
    }
  }
  // With replacement: of two endpoints 95 to 5 without it, both would be drawn each time and a tie would share evenly.
  const drawWeighted = createWeightedDraw(endpoints, random)
  return { first: drawWeighted, second: drawWeighted }
}

function createWeightedDraw(endpoints: readonly Endpoint[], random: () => number): () => number {
  let total = 0
  const upTo = endpoints.map((endpoint) => {
    total += endpoint.weight
    return total
  })
  return () => {
    const point = random() * total
    let low = 0
    let high = upTo.length - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if ((upTo[middle] as number) > point) high = middle
      else low = middle + 1
    }
    return low
  }
}
