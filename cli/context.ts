// What every command is given: the terminal, the environment and the directory that it was called in.
import type { Terminal } from './terminal.ts'

export interface Context {
  readonly terminal: Terminal
  readonly environment: NodeJS.ProcessEnv
  readonly workingDirectory: string
  readonly runDirectory: string
  readonly stateDirectory: string
}
