// A written page as what its reader would do, in order: files that it says to save, commands, and what they are said to print.
// Nothing is left out in silence: a block that is neither is a mistake, and one that is not run carries a comment that says why.

/** Where it stands: "docs/routes.md:12". */
interface Placed {
  readonly at: string
  /** The nearest heading above. */
  readonly section: string
}
export interface Run extends Placed {
  readonly kind: 'run'
  readonly command: string
  /** null: the page shows no output. */
  readonly output: string | null
  /** `<!-- numbers vary -->`: any number stands for any other. */
  readonly doNumbersVary: boolean
  /** `<!-- within 30s -->`: what it shows need not be so at once. 0: it must. */
  readonly withinMs: number
}
interface Save extends Placed {
  readonly kind: 'save'
  readonly file: string
  readonly text: string
}
/** `<!-- part of FILE -->`: shown, and to be found there word for word. */
interface Part extends Placed {
  readonly kind: 'part'
  readonly file: string
  readonly text: string
}
/** `<!-- not run: WHY -->` */
interface Skip extends Placed {
  readonly kind: 'skip'
  readonly why: string
  readonly text: string
}
export type Step = Run | Save | Part | Skip

export interface Page {
  readonly name: string
  readonly steps: readonly Step[]
  /** Commands within sentences, as "docs/routes.md:12: kubectl get pods". They must stand in a block too. */
  readonly mentioned: readonly string[]
}

interface Block extends Placed {
  readonly language: string
  readonly text: string
  /** All since the block or heading before it, comments too. */
  readonly before: string
}

const CODE = /`([^`]+)`/g
/** Two words are the name of a command. */
const COMMAND = /^(?:kubectl|helm|bin\/weft|weft|curl) \S+ \S/

export function readPage(name: string, markdown: string): Page {
  const blocks: Block[] = []
  const mentioned: string[] = []
  const lines = markdown.split('\n')
  let [section, before] = ['', '']
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index] ?? ''
    const at = `${name}:${index + 1}`
    if (line.startsWith('```')) {
      const end = lines.indexOf('```', index + 1)
      if (end === -1) throw new Error(`${at}: the block does not end`)
      blocks.push({ at, section, language: line.slice(3), text: textOf(lines.slice(index + 1, end)), before })
      index = end
      before = ''
    } else if (line.startsWith('#')) {
      section = line.replace(/^#+ /, '')
      before = ''
    } else {
      before += `${line}\n`
      const code = [...line.matchAll(CODE)].map(([, text = '']) => text)
      mentioned.push(...code.filter((text) => COMMAND.test(text)).map((text) => `${at}: ${text}`))
    }
  }
  return { name, steps: blocks.flatMap(stepsOf), mentioned }
}

const textOf = (lines: readonly string[]) => lines.map((line) => `${line}\n`).join('')

function stepsOf(block: Block): readonly Step[] {
  const { at, section, language, text, before } = block
  const why = /<!-- not run: (.+?) -->/s.exec(before)?.[1]
  if (why !== undefined) return [{ kind: 'skip', at, section, why: why.replace(/\s+/g, ' '), text }]
  const whole = /<!-- part of (\S+) -->/.exec(before)?.[1]
  if (whole !== undefined) return [{ kind: 'part', at, section, file: whole, text }]
  const doNumbersVary = before.includes('<!-- numbers vary -->')
  const withinMs = Number(/<!-- within (\d+)s -->/.exec(before)?.[1] ?? 0) * 1000
  const how = { kind: 'run', at, section, doNumbersVary, withinMs } as const
  if (language === 'sh') return [{ ...how, command: text, output: null }]
  if (language === 'console') return transcriptOf(block).map((said) => ({ ...how, ...said }))
  const file = /[Ss]ave (?:this|it) as `([^`/]+)`/.exec(before)?.[1]
  if (file !== undefined) return [{ kind: 'save', at, section, file, text }]
  throw new Error(
    `${at}: a block of ${language || 'no language'} is no command; want sh or console, "Save this as \`NAME\`:" before it, ` +
      '<!-- part of FILE -->, or <!-- not run: WHY -->',
  )
}

/** "$ " begins a command, "> " continues it, all else was printed. */
function transcriptOf({ at, text }: Block) {
  const said: { command: string; output: string }[] = []
  for (const line of text.split('\n').slice(0, -1)) {
    const last = said.at(-1)
    if (line.startsWith('$ ')) said.push({ command: `${line.slice(2)}\n`, output: '' })
    else if (last === undefined) throw new Error(`${at}: a console block begins with "$ " and a command`)
    else if (line.startsWith('> ') && last.output === '') last.command += `${line.slice(2)}\n`
    else last.output += `${line}\n`
  }
  return said
}
