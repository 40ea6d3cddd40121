// One request on a server connection: how the heads of its answer are written.
import { Unsendable } from '#flow/error.ts'
import type { Fields } from '#flow/stream.ts'
import { Stream } from './stream.ts'

export class ServerStream extends Stream {
  protected writeHead(fields: Fields, end: boolean): boolean {
    const status = Number(fields[fields.indexOf(':status') + 1])
    if (!Number.isInteger(status) || status < 100 || status > 999 || status === 101)
      throw new Unsendable('a status that HTTP/2 cannot carry')
    const isFinal = status >= 200
    this.writeFields(fields, end && isFinal)
    return isFinal
  }
}
