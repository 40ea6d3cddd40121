// Requests of one connection: each becomes an exchange.
import type { HttpStream, StreamAcceptor } from '#flow/stream.ts'
import type { ExchangeContext } from './context.ts'
import { HttpExchange } from './exchange.ts'

export function acceptExchanges(context: ExchangeContext): StreamAcceptor {
  return (stream: HttpStream) => {
    stream.events = new HttpExchange(context, stream)
  }
}
