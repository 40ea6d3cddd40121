// The command line: what there is, and where each command lives. Nothing else reads the environment.
import { Command } from 'commander'
import { createDetachedTerminal } from './commands/detach.ts'
import { down } from './commands/down.ts'
import { type UpFlags, up } from './commands/up.ts'
import type { Context } from './context.ts'
import { createTerminal, tellError } from './terminal.ts'
import { RUN_DIRECTORY, STATE_DIRECTORY } from './up/paths.ts'

const terminal = process.connected ? createDetachedTerminal() : createTerminal(process.env)
const context: Context = {
  terminal,
  environment: process.env,
  workingDirectory: process.cwd(),
  runDirectory: RUN_DIRECTORY,
  stateDirectory: STATE_DIRECTORY,
}

const program = new Command('weft').description('A service mesh on one machine: the same objects as in a cluster.')

program
  .command('up')
  .description('bring a mesh up and stay until Ctrl-C')
  .argument('<file>', 'the documents of the mesh, such as mesh.yaml')
  .option('--detach', 'leave it running in the background')
  .option('--svid-lifetime <duration>', 'how long certificates of workloads last', '24h')
  .option('--log-level <level>', 'trace, debug, info, warn or error: of sidecars, control and certs', 'info')
  .action((file: string, flags: UpFlags) => up(context, file, flags))

program
  .command('down')
  .description('take a mesh down, or remove what a killed one left')
  .argument('[mesh]', 'its name; not needed where one mesh is up')
  .action((name?: string) => down(context, name))

program.parseAsync().catch((error: unknown) => {
  tellError(terminal, error)
  process.exitCode = 1
})
