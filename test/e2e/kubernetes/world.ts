// Two namespaces of a cluster for a test file: the shop in one that is labelled, pods without sidecars in one that is not.
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Caller, callerIn } from '../../support/caller.ts'
import { type Installation, installWeft } from './installation.ts'
import { apply, kubectl, podsOf, ROOT } from './kubectl.ts'
import { caller, echo, untilReady } from './workloads.ts'

export interface World extends AsyncDisposable {
  readonly installation: Installation
  /** Labelled: the shop, its callers `shopper`, and `echo` in three replicas. */
  readonly inside: string
  /** Not labelled: `stranger` and an `echo`. */
  readonly outside: string
  readonly shopper: Caller
  readonly stranger: Caller
  /** Removes both namespaces. Again does nothing. */
  clear(): Promise<void>
}

const example = (name: string): string => readFileSync(join(ROOT, 'examples/kubernetes', name), 'utf8')

/** `values`: of the installation. */
export async function createWorld(...values: readonly string[]): Promise<World> {
  const installation = await installWeft(...values)
  const inside = `weft-e2e-${randomBytes(4).toString('hex')}`
  const outside = `${inside}-outside`
  const clear = async () => {
    await kubectl('delete', 'namespace', inside, outside, '--ignore-not-found', '--timeout=120s')
  }
  const dispose = async () => {
    // Weft goes also when a namespace does not.
    await clear().finally(() => installation[Symbol.asyncDispose]())
  }
  try {
    await kubectl('create', 'namespace', outside)
    await apply(outside, [...caller('stranger'), ...echo(1)])
    await kubectl('create', 'namespace', inside)
    await kubectl('label', 'namespace', inside, 'weft.dev/inject=enabled')
    for (const file of ['policies.yaml', 'shop.yaml', 'routes.yaml']) await apply(inside, example(file))
    await apply(inside, [...caller('shopper'), ...echo(3)])
    await Promise.all([inside, outside].map(untilReady))
    const shopper = await callerOf(inside, 'shopper')
    const stranger = await callerOf(outside, 'stranger')
    return { installation, inside, outside, shopper, stranger, clear, [Symbol.asyncDispose]: dispose }
  } catch (error) {
    await dispose()
    throw error
  }
}

async function callerOf(namespace: string, name: string): Promise<Caller> {
  const [pod] = await podsOf(namespace, `app=${name}`)
  const address = pod?.status.podIP
  if (address === undefined) throw new Error(`${namespace}/${name} has no address`)
  return callerIn({ addressOf: () => address })
}
