// Before all tests of a whole node: the cluster is up and has the images. After them it is down again, unless it was up before.
// With KUBECONFIG the cluster is somebody else's and stays as it is; LOAD_IMAGE then says how an image gets there.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT, run, SHARED, succeed } from './kubectl.ts'
import { blamingTheMachine } from './machine.ts'

const cluster = (program: string) => join(SHARED, 'cluster', program)
let isOurs = false

export async function setup(): Promise<void> {
  for (const needed of ['cluster/up', 'tools/run', 'gateway-api/run', 'jaeger/up']) {
    if (existsSync(join(SHARED, needed))) continue
    throw new Error(`${join(SHARED, needed)} is missing: check out the folder "shared" beside this repository`)
  }
  if (process.env['KUBECONFIG'] === undefined && !(await answers())) {
    isOurs = true
    await blamingTheMachine(() => succeed(cluster('up'), []))
  }
  await blamingTheMachine(() =>
    succeed('kubectl', ['wait', '--for=condition=Ready', 'nodes', '--all', '--timeout=120s']),
  )
  await succeed(join(ROOT, 'scripts/images'), ['--load'])
  await succeed(join(ROOT, 'examples/kubernetes/image'), [])
}

/** Also after a setup that failed. */
export async function teardown(): Promise<void> {
  if (isOurs) await succeed(cluster('down'), [])
}

/** All of it, not the API server alone: after a reboot only some of its parts may be there. */
async function answers(): Promise<boolean> {
  const { status, stdout } = await run('kubectl', ['get', 'nodes', '--request-timeout=5s', '--no-headers'])
  return status === 0 && /\bReady\b/.test(stdout)
}
