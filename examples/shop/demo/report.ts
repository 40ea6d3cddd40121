// What the demo says, and what of it did not hold. Each scene tells what it saw and names what must be true of it.

export interface Report {
  scene(title: string): void
  say(line: string): void
  /** `claim` is a sentence that must be true; `found` is told when it is not. */
  expect(claim: string, holds: boolean, found: string): void
  readonly failures: readonly string[]
}

export function createReport(write: (text: string) => void): Report {
  const failures: string[] = []
  let current = ''
  return {
    scene(title) {
      current = title
      write(`\n${title}\n`)
    },
    say: (line) => write(`  ${line}\n`),
    expect(claim, holds, found) {
      write(`  ${holds ? 'ok ' : 'NOT'} ${claim}\n`)
      if (holds) return
      write(`      found: ${found}\n`)
      failures.push(`${current}: ${claim} (found: ${found})`)
    },
    failures,
  }
}
