// The step that finds what a connection speaks, from what is declared and from its first bytes.
import type { Secured } from '#flow/connection.ts'
import type { Layer } from '#flow/layer.ts'
import { judgeFirstBytes } from './http-preface.ts'
import { peek } from './peek.ts'

/** silent: the client has said nothing; the server may be the one who speaks first. */
export type Spoken = 'http/1.1' | 'h2' | 'tls' | 'opaque' | 'silent'

/** What a codec of ours speaks. */
export const isHttp = (spoken: Spoken): boolean => spoken === 'http/1.1' || spoken === 'h2'

export interface Heard {
  readonly spoken: Spoken
  /** Bytes that were read to find out. */
  readonly head: Buffer
}

export interface DetectRule {
  /** http: only HTTP is expected; opaque: nothing is read; detect: sniff. */
  readonly declared: 'http' | 'opaque' | 'detect'
  /** How long the client may be silent; Infinity where a client is known to speak first. */
  readonly silenceMs: number
}

const NOTHING = Buffer.alloc(0)

export function detectProtocol<In extends Secured, Out>(ruleOf: (input: In) => DetectRule): Layer<In, In & Heard, Out> {
  return (next) => async (input) => {
    const rule = ruleOf(input)
    if (rule.declared === 'opaque') return next({ ...input, spoken: 'opaque', head: NOTHING })
    const { verdict, head, isEnded } = await peek(input.stream, {
      judge: judge,
      waitMs: rule.declared === 'http' ? Number.POSITIVE_INFINITY : rule.silenceMs,
      signal: input.signal,
    })
    const isSilent = verdict === null && head.length === 0 && !isEnded
    return next({ ...input, spoken: isSilent ? 'silent' : settle(verdict, rule.declared), head })
  }
}

export function judge(head: Buffer): Exclude<Spoken, 'silent'> | undefined {
  const verdict = judgeFirstBytes(head)
  return verdict === 'more' ? undefined : verdict
}

/** On a port declared as HTTP the codec says what is wrong with anything else, save TLS. */
export function settle(verdict: Spoken | null, declared: DetectRule['declared']): Spoken {
  const spoken = verdict ?? 'opaque'
  return declared === 'http' && spoken === 'opaque' ? 'http/1.1' : spoken
}
