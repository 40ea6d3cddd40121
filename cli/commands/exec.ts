// weft exec: runs a command as the application of a pod would run: its network and names, its user, environment and directory,
// and the sidecar in its way.
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import type { Context } from '../context.ts'
import { Failure } from '../failure.ts'
import { findMesh } from '../find-mesh.ts'
import { findPod } from '../find-pods.ts'
import { asUser, inNamespace } from '../up/commands.ts'
import { checkMachine, findProgram } from '../up/requirements.ts'

/** The exit code of this process is the command's, as with a shell. */
export async function exec(
  { environment, runDirectory }: Context,
  word: string,
  argv: readonly string[],
  mesh: string | undefined,
): Promise<void> {
  checkMachine('exec', environment['PATH'] ?? '')
  const pod = findPod(findMesh(mesh, runDirectory), word)
  const [program = ''] = argv
  if (findProgram(program, pod.env['PATH'] ?? '', pod.workingDirectory) === undefined) {
    throw new Failure(
      `the command "${program}" is not found`,
      `Looked in the PATH of the application, from ${pod.workingDirectory}: ${pod.env['PATH']}`,
    )
  }
  const user = { uid: pod.user.uid ?? undefined, gid: pod.user.gid ?? undefined }
  const [ip = '', ...rest] = inNamespace(pod.networkNamespace, asUser(user, argv))
  const terminal = environment['TERM'] === undefined ? {} : { TERM: environment['TERM'] }
  const child = spawn(ip, rest, { cwd: pod.workingDirectory, env: { ...terminal, ...pod.env }, stdio: 'inherit' })
  // The terminal sends Ctrl-C to both; only the command decides what it means.
  process.on('SIGINT', () => undefined)
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  process.exitCode = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])))
  })
}
