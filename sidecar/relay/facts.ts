// What a decision looks at, read from the head once a request.

import type { Exchange } from '#flow/exchange.ts'
import { setField } from '#flow/fields.ts'
import type { Fields } from '#flow/stream.ts'
import { formatAddress } from '#shared/address.ts'
import type { RequestFacts } from '#shared/decide/config.ts'
import { canonicalPath } from '#shared/decide/facts.ts'

export function factsOf(fields: Fields, random: () => number): RequestFacts {
  let method = ''
  let authority = ''
  let target = '/'
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string
    if (name.charCodeAt(0) !== 58) break
    if (name === ':method') method = fields[i + 1] as string
    else if (name === ':authority') authority = fields[i + 1] as string
    else if (name === ':path') target = fields[i + 1] as string
  }
  const { path, query, isPathPlain } = canonicalPath(target)
  return { method, authority, path, isPathPlain, query, fields, random: random() }
}

/** A client of HTTP/1.0 may name no host; the server behind us is asked in the name of the address that was dialled. */
export function nameDestination({ facts, request, destination }: Exchange): void {
  facts.authority = formatAddress(destination)
  setField(request, ':authority', facts.authority)
}
