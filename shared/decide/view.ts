// What matching needs of a request beyond its plain facts; made only for destinations whose rules look at it.
import type { RequestFacts } from './config.ts'

export interface RequestView {
  /** The authority in lower case without port and without a trailing dot. */
  readonly host: string
  /** The same with the port, where one was sent. */
  readonly hostAndPort: string
  /** name, value, ... decoded, in order. */
  readonly query: readonly string[]
}

export function viewOf(facts: RequestFacts): RequestView {
  const { host, hostAndPort } = readAuthority(facts.authority)
  return { host, hostAndPort, query: parseQuery(facts.query) }
}

/** "Catalog.Shop.:8080" to "catalog.shop" and "catalog.shop:8080"; "[FD00::1]:80" keeps its brackets. */
export function readAuthority(authority: string): { host: string; hostAndPort: string } {
  const lower = authority.toLowerCase()
  const colon = lower.lastIndexOf(':')
  const hasPort = colon > lower.lastIndexOf(']') && colon !== -1
  const name = hasPort ? lower.slice(0, colon) : lower
  const host = name.endsWith('.') ? name.slice(0, -1) : name
  return { host, hostAndPort: hasPort ? host + lower.slice(colon) : host }
}

/** As browsers write forms: "+" is a space. What cannot be decoded stays as it is. */
function parseQuery(query: string): readonly string[] {
  if (query === '') return []
  const pairs: string[] = []
  for (const part of query.split('&')) {
    if (part === '') continue
    const equals = part.indexOf('=')
    pairs.push(
      decode(equals === -1 ? part : part.slice(0, equals)),
      equals === -1 ? '' : decode(part.slice(equals + 1)),
    )
  }
  return pairs
}

function decode(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text
  const spaced = text.replaceAll('+', ' ')
  try {
    return decodeURIComponent(spaced)
  } catch {
    return spaced
  }
}
