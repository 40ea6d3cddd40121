// A response's head: its line and what its fields say (RFC 9112 sections 4 and 6). Whatever is refused ends the connection.
import { CR, LF, SPACE, VALUE } from '#flow/characters.ts'
import { FieldFacts } from './field-facts.ts'
import { malformed } from './malformed.ts'
import type { HeadShape } from './parse.ts'

/** Reused for every response of a connection; `fields` is new each time. */
export class ResponseHead extends FieldFacts implements HeadShape {
  readonly hasStartLine = true
  status = 0
  minor = 1

  /** The reason phrase is dropped (RFC 9110 section 15.1 lets nobody rely on it); its absence is forgiven with its blank. */
  startLine(bytes: Buffer, at: number, text: string, base: number): number {
    const version = text.slice(at - base, at + 9 - base)
    if (version !== 'HTTP/1.1 ' && version !== 'HTTP/1.0 ') throw malformed('a status line without a version')
    this.minor = version === 'HTTP/1.1 ' ? 1 : 0
    const code = text.slice(at + 9 - base, at + 12 - base)
    if (!/^[1-9]\d\d$/.test(code)) throw malformed('a status that is not three digits')
    this.status = Number(code)
    let i = at + 12
    if (bytes[i] === SPACE) while (VALUE[bytes[i] as number] === 1) i++
    if (bytes[i] !== CR || bytes[i + 1] !== LF) throw malformed('a status line with a forbidden character')
    this.begin([':status', code])
    return i + 2
  }

  field(name: string, value: string): void {
    if (this.note(name, value)) this.fields.push(name, value)
  }

  override finish(): void {
    super.finish(this.minor)
  }

  get keepsAlive(): boolean {
    return !this.saysClose && (this.minor === 1 || this.saysKeepAlive)
  }
}
