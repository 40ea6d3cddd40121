// Runs the redirection program of redirect.ts in a network namespace. Needs root (CAP_NET_ADMIN) and Debian's iptables.
import { execFile } from 'node:child_process'
import {
  findHooks,
  type HooksOfFamilies,
  type Programs,
  type RedirectOptions,
  redirectProgram,
  removalProgram,
} from './redirect.ts'

/** A name of `ip netns`; undefined: the namespace of this process, as in an init container. */
export type Namespace = string | undefined

/** Which programs of Debian's iptables are called, and for which families of addresses. */
export interface Tables {
  /** Undefined: what the machine calls iptables. */
  readonly backend?: 'nft' | 'legacy'
  /** False where the kernel has no IPv6 at all: nothing to redirect there. */
  readonly hasIPv6: boolean
}

const USUAL: Tables = { hasIPv6: true }

/** Another program that changes the same table between our look and our write makes the write fail: look again. */
const ATTEMPTS = 3

/** Redirects all TCP of the namespace. Applied twice it is as applied once. Rejects with what iptables said. */
export async function applyRedirect(
  namespace: Namespace,
  options: RedirectOptions = {},
  tables: Tables = USUAL,
): Promise<void> {
  await change(namespace, tables, (found) => redirectProgram(options, found))
}

/** Takes the redirection out again; nothing happens where there is none. */
export async function removeRedirect(namespace: Namespace): Promise<void> {
  await change(namespace, USUAL, removalProgram)
}

async function change(
  namespace: Namespace,
  { backend, hasIPv6 }: Tables,
  write: (found: HooksOfFamilies) => Programs,
): Promise<void> {
  const named = (family: string, verb: string) => [family, backend, verb].filter((part) => part !== undefined).join('-')
  const save = (family: string) => run(namespace, [named(family, 'save'), '-t', 'nat'])
  const restore = (family: string, program: string) =>
    run(namespace, [named(family, 'restore'), '-w', '--noflush'], program)
  for (let attempt = 1; ; attempt++) {
    const [v4, v6] = await Promise.all([save('iptables'), hasIPv6 ? save('ip6tables') : ''])
    const programs = write({ v4: findHooks(v4), v6: findHooks(v6) })
    try {
      await restore('iptables', programs.v4)
      if (hasIPv6) await restore('ip6tables', programs.v6)
      return
    } catch (error) {
      if (attempt === ATTEMPTS) throw error
    }
  }
}

/** Rejects with the name of the program and what it said. */
export function run(namespace: Namespace, command: readonly string[], input = ''): Promise<string> {
  const [program = '', ...argv] = namespace === undefined ? command : ['ip', 'netns', 'exec', namespace, ...command]
  return new Promise((resolve, reject) => {
    const child = execFile(program, argv, { timeout: 20_000 }, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout)
      const where = namespace === undefined ? '' : ` in namespace ${namespace}`
      reject(new Error(`${command[0]} failed${where}: ${stderr.trim() || error.message}`, { cause: error }))
    })
    // A program that cannot start leaves a broken pipe; the callback above says why.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(input)
  })
}
