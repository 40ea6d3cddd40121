// kubectl exec of what only reads, so that it can be asked again. A kubectl before 1.34 throws away what a pod says before kubectl is
// ready for it, ends with 0 all the same, and tells it in its own log alone (kubernetes/kubernetes#131189).
import { type ExecFileException, execFile } from 'node:child_process'

const TRIES = 4
const LIMIT_MS = 20_000
/** Often the message was empty and nothing is lost, so the line alone means nothing. */
const DISCARDED = /E\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ websocket\.go:\d+\] Unknown stream id \d+, discarding message\n?/g

export const withoutDiscarded = (text: string): string => text.replace(DISCARDED, '')

export interface Asked {
  /** null: it ended with 0. */
  readonly error: ExecFileException | null
  readonly stdout: string
  readonly stderr: string
}

/** `isWhole` tells whether all of the output came. */
export async function askByExec(
  argv: readonly string[],
  environment: NodeJS.ProcessEnv,
  isWhole: (stdout: string) => boolean,
): Promise<Asked> {
  for (let tried = 1; ; tried++) {
    const { error, stdout, stderr } = await kubectl(argv, environment)
    const rest = withoutDiscarded(stderr)
    if (isWhole(stdout) || rest === stderr || tried === TRIES) return { error, stdout, stderr: rest }
  }
}

function kubectl(argv: readonly string[], environment: NodeJS.ProcessEnv): Promise<Asked> {
  return new Promise((resolve) => {
    execFile('kubectl', argv, { env: environment, timeout: LIMIT_MS }, (error, stdout, stderr) =>
      resolve({ error, stdout, stderr }),
    )
  })
}
