// The command line: what there is, and where each command lives. Nothing else reads the environment.
import { Command, Option } from 'commander'
import { USUAL_SETTINGS } from '#shared/pod/template.ts'
import { type ApplyFlags, apply } from './commands/apply.ts'
import { createDetachedTerminal } from './commands/detach.ts'
import { down } from './commands/down.ts'
import { exec } from './commands/exec.ts'
import { type IdentityFlags, identity } from './commands/identity.ts'
import { type InjectFlags, inject } from './commands/inject.ts'
import { type InstallFlags, install } from './commands/install.ts'
import { type LogsFlags, logs } from './commands/logs.ts'
import { type StatusFlags, status } from './commands/status.ts'
import { type TracesFlags, traces } from './commands/traces.ts'
import { type UpFlags, up } from './commands/up.ts'
import type { Context } from './context.ts'
import { WEFT_NAMESPACE } from './install/charts.ts'
import { PRESETS } from './install/values.ts'
import { createTerminal, tellError } from './terminal.ts'
import { RUN_DIRECTORY, STATE_DIRECTORY } from './up/paths.ts'
import { readVersion } from './version.ts'

const terminal = process.connected ? createDetachedTerminal() : createTerminal(process.env)
const context: Context = {
  terminal,
  environment: process.env,
  workingDirectory: process.cwd(),
  runDirectory: RUN_DIRECTORY,
  stateDirectory: STATE_DIRECTORY,
}

const MESH = ['--mesh <name>', 'the mesh; not needed where one is up'] as const
const asJson = () => new Option('-o, --output <format>', 'json: for programs').choices(['json'])

const program = new Command('weft')
  .description('A service mesh on one machine: the same objects as in a cluster.')
  .version(readVersion(), '-V, --version', 'the version of weft')
  .showSuggestionAfterError()
  .showHelpAfterError('What there is: weft --help; of a command: weft COMMAND --help. Docs: docs/standalone.md')

program
  .command('up')
  .description('bring a mesh up and stay until Ctrl-C')
  .argument('<file>', 'the documents of the mesh, such as mesh.yaml')
  .option('--detach', 'leave it running in the background')
  .option('--svid-lifetime <duration>', 'how long certificates of workloads last', '24h')
  .addOption(
    new Option('--log-level <level>', 'of sidecars, control and certs')
      .choices(['trace', 'debug', 'info', 'warn', 'error'])
      .default('info'),
  )
  .action((file: string, flags: UpFlags) => up(context, file, flags))

program
  .command('down')
  .description('take a mesh down, or remove what a killed one left')
  .argument('[mesh]', 'its name; not needed where one is up')
  .option(...MESH)
  .action((name: string | undefined, flags: { mesh?: string }) => down(context, name ?? flags.mesh))

program
  .command('status')
  .description('services and pods, their sidecars and certificates, and mistakes of the configuration')
  .addOption(asJson())
  .option(...MESH)
  .action((flags: StatusFlags) => status(context, flags))

program
  .command('logs')
  .description('what applications have written, or sidecars, control and certs')
  .argument('<name>', 'a service, workload or pod; or control, certs')
  .option('--sidecar', 'of the sidecars instead of the applications')
  .option('-f, --follow', 'go on as more is written')
  .option(...MESH)
  .action((name: string, flags: LogsFlags) => logs(context, name, flags))

program
  .command('exec')
  .description('run a command as the application of a pod would run, its traffic through the sidecar')
  .argument('<name>', 'a service, workload or pod')
  .argument('<command...>', 'the command, after --')
  .showHelpAfterError('The command stands after --, such as: weft exec web -- curl -s http://catalog:8080/')
  .option(...MESH)
  .action((name: string, command: string[], flags: { mesh?: string }) => exec(context, name, command, flags.mesh))

program
  .command('identity')
  .description('who a pod is: its certificate, and whether others will trust it; of a mesh here, or else of a cluster')
  .argument('<pod>', 'a pod; of a mesh here a service or workload too')
  .option('-n, --namespace <name>', 'its namespace in a cluster')
  .option('--context <name>', 'of the kubeconfig')
  .addOption(asJson())
  .option(...MESH)
  .action((pod: string, flags: IdentityFlags) => identity(context, pod, flags))

program
  .command('traces')
  .description('the last traces as trees')
  .argument('[id]', 'one trace; without it the last ones')
  .option('--limit <count>', 'how many', '10')
  .addOption(asJson())
  .option(...MESH)
  .action((id: string | undefined, flags: TracesFlags) => traces(context, id, flags))

program
  .command('apply')
  .description('change routes and policies of a mesh that is up')
  .requiredOption('-f, --filename <file>', 'documents; - for standard input')
  .option('--dry-run', 'only show what would change, and for whom')
  .addOption(asJson())
  .option(...MESH)
  .action((flags: ApplyFlags) => apply(context, flags))

const collect = (value: string, before: readonly string[]) => [...before, value]

program
  .command('install')
  .description('print the objects that put Weft into a cluster: weft install | kubectl apply -f -')
  .option('-n, --namespace <name>', 'where Weft itself is to run', WEFT_NAMESPACE)
  .option('--crds', 'those of the custom resources instead, which come first')
  .addOption(new Option('--preset <name>', 'values to begin with').choices(Object.keys(PRESETS)))
  .option('-f, --values <file>', 'values as for the Helm chart; may be repeated', collect, [])
  .option('--set <name=value>', 'one value, such as control.replicas=3; may be repeated', collect, [])
  .action((flags: InstallFlags) => install(context, flags))

program
  .command('inject')
  .description('print manifests with their sidecars: weft inject -f app.yaml | kubectl apply -f -')
  .requiredOption('-f, --filename <file>', 'manifests; - for standard input')
  .option('-n, --namespace <name>', 'of objects that name none', 'default')
  .option('--image <image>', 'of the sidecar', USUAL_SETTINGS.image)
  .option('--trust-domain <name>', 'of the mesh', USUAL_SETTINGS.trustDomain)
  .option('--mesh-ranges <cidrs>', 'of pods and services, parted by commas', '')
  .option('--weft-namespace <name>', 'where Weft itself runs', WEFT_NAMESPACE)
  .option('--cluster-domain <name>', 'of the names of services, such as cluster.local')
  .action((flags: InjectFlags) => inject(context, flags))

program.parseAsync().catch((error: unknown) => {
  tellError(terminal, error)
  process.exitCode = 1
})
