// Does what a page says, as its reader would: saves its files, runs its commands in one shell, compares what they print.
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { withoutDiscarded } from '../../cli/kubectl.ts'
import type { Page, Run, Step } from './page.ts'
import { difference } from './page-output.ts'
import type { Shell } from './shell.ts'

const MOST_LOSSES = 3

export interface Following {
  readonly shell: Shell
  /** Where the shell is, and where files are saved. */
  readonly directory: string
  /** Of the page, in place of all. */
  readonly isMeant?: (step: Step) => boolean
  /** Options that the page describes and this place needs, such as another registry. */
  readonly change?: (command: string) => string
}

/** Throws an Error that names page, line and command at the first that fails, prints something else, or when nothing was run. */
export async function followPage(page: Page, following: Following): Promise<void> {
  const { isMeant = () => true } = following
  const saved: string[] = []
  const steps = page.steps.filter(isMeant)
  if (!steps.some(({ kind }) => kind === 'run')) throw new Error(`${page.name}: nothing of it was run`)
  try {
    for (const step of steps) await follow(step, following, saved)
  } finally {
    for (const file of saved) await rm(file, { force: true })
  }
}

async function follow(step: Step, { shell, directory, change = same }: Following, saved: string[]): Promise<void> {
  if (step.kind === 'save') {
    const file = join(directory, step.file)
    await writeFile(file, step.text, { flag: 'wx' })
    saved.push(file)
  } else if (step.kind === 'part') {
    const whole = await readFile(join(directory, step.file), 'utf8')
    if (!whole.includes(step.text)) throw new Error(`${step.at}: this is not in ${step.file}`)
  } else if (step.kind === 'run') await obey(step, shell, change(step.command))
}

async function obey({ at, output, doNumbersVary, withinMs }: Run, shell: Shell, command: string): Promise<void> {
  const giveUpAt = Date.now() + withinMs
  for (let losses = 0; ; ) {
    // Within a condition, a failure does not end the shell.
    const ran = await shell.run(withinMs === 0 ? command : `if ! {\n${command}}; then echo "that failed"; fi`)
    if (ran.status !== 0) throw new Error(`${at}: ${command}${endOf(ran.status)}:\n${ran.output}`)
    // A line that an older kubectl writes of itself; what the command printed may then be lost.
    const printed = withoutDiscarded(ran.output)
    const found = output === null ? null : difference(output, printed, doNumbersVary)
    if (found === null) return
    if (printed !== ran.output && losses++ < MOST_LOSSES) continue
    if (Date.now() >= giveUpAt) throw new Error(`${at}: ${command}${found}`)
    await sleep(500)
  }
}

const same = (command: string) => command
const endOf = (status: number | null) => (status === null ? 'did not end in time' : `ended with ${status}`)
