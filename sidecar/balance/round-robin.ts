// Each endpoint in turn, as often as its weight says. Static stride scheduling: a counter passes over the endpoints
// again and again, and each lets itself be picked in weight/heaviest of the rounds; there is nothing to search or sort.
import type { Balancer, Endpoint, Picker } from '#flow/upstream.ts'
import { EMPTY_PICKER, withoutTried } from './tried.ts'

/** Weights are scaled to this, so shares are exact to 1/65535 of the heaviest. */
const HEAVIEST = 65_535
/** Multiples of the golden ratio's part of a round lie far apart, however many there are. */
const GOLDEN_PART = 40_503

/** `random` only chooses where to begin, so that not every sidecar of a service begins with the same endpoint. */
export function createRoundRobin(random: () => number): Balancer {
  // Outlives the pickers: a change of endpoints does not send everyone back to the first.
  const turns = { first: beginAnywhere(random), again: beginAnywhere(random) }
  return (fit) => createPicker(fit, turns.first, turns.again)
}

interface Turn {
  next: number
}

const beginAnywhere = (random: () => number): Turn => ({ next: Math.floor(random() * 2 ** 20) })

/** A further try takes its turn from a counter of its own: else each retry would hand the next request the bad endpoint. */
function createPicker(fit: readonly Endpoint[], turn: Turn, again: Turn): Picker {
  const endpoints = fit.filter((endpoint) => endpoint.weight > 0)
  if (endpoints.length === 0) return EMPTY_PICKER
  const heaviest = Math.max(...endpoints.map((endpoint) => endpoint.weight))
  const strides = endpoints.map((endpoint) => Math.max(1, Math.round((endpoint.weight / heaviest) * HEAVIEST)))
  const isEven = strides.every((stride) => stride === HEAVIEST)
  const pickAny = (): Endpoint => {
    for (;;) {
      const index = turn.next % endpoints.length
      const round = Math.floor(turn.next / endpoints.length)
      turn.next = (turn.next + 1) % Number.MAX_SAFE_INTEGER
      if (isEven || isTurnOf(index, round, strides[index] as number)) return endpoints[index] as Endpoint
    }
  }
  return {
    pick(hash, tried) {
      if (tried.length === 0) return pickAny()
      const rest = withoutTried(endpoints, tried)
      return rest === null ? pickAny() : createPicker(rest, again, again).pick(hash, [])
    },
  }
}

/** Chosen in exactly `stride` of HEAVIEST rounds; the shift by index spreads the light ones over the rounds. */
function isTurnOf(index: number, round: number, stride: number): boolean {
  return (stride * round + index * GOLDEN_PART) % HEAVIEST >= HEAVIEST - stride
}
