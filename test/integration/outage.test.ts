// What goes on while parts of the mesh are gone, and what comes back after they were killed.
import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { call, callTimes } from '../support/calls.ts'
import { captureMesh } from '../support/capture.ts'
import { echo, meshPolicy, pod } from '../support/documents.ts'
import { startMesh, type TestMesh } from '../support/mesh.ts'

/** Process of certs or control of this mesh, found by what it was started with. */
function stopSystem(mesh: TestMesh, part: 'certs' | 'control', signal: NodeJS.Signals): void {
  process.kill(pidOf(mesh, part), signal)
}

function pidOf(mesh: TestMesh, part: 'certs' | 'control'): number {
  const found = mesh.running.system(part)?.pid
  if (found == null) throw new Error(`${part} of ${mesh.name} does not run`)
  return found
}

test('with control and certs away traffic goes on, and a killed sidecar comes back from its snapshot', async () => {
  const outsider = pod({ name: 'outsider', inject: false })
  await using mesh = await startMesh(pod({ name: 'client' }) + echo() + echo({ name: 'later' }) + outsider)
  expect((await call(mesh, 'client-0', 'http://echo:8080/')).status).toBe(200)
  const snapshot = `${mesh.running.paths.pods}/client-0/snapshot.json`
  await until(() => existsSync(snapshot) && readFileSync(snapshot, 'utf8').includes(mesh.addressOf('echo-0')))
  await using capture = await captureMesh(mesh.name)
  await call(mesh, 'outsider-0', `http://${mesh.addressOf('later-0')}:8080/PLANTED-MARKER`)
  await capture.sees('PLANTED-MARKER')
  // Stopped, not killed: they hold their ports and answer nothing, which is worse than being gone.
  for (const part of ['control', 'certs'] as const) stopSystem(mesh, part, 'SIGSTOP')
  try {
    expect(
      (await callTimes(mesh, 'client-0', 'http://echo:8080/', { count: 20 })).every(({ status }) => status === 200),
    ).toBe(true)

    const before = mesh.running.pods.get('client-0')?.sidecar?.pid ?? 0
    process.kill(before, 'SIGKILL')
    await untilReady(mesh, 'client-0', before)

    expect(await failuresOf(mesh, 20)).toEqual([])

    // What nobody has told of yet is refused rather than spoken to in clear.
    const unseen = `http://${mesh.addressOf('later-0')}:8080/NEVER-IN-CLEAR`
    expect((await call(mesh, 'client-0', unseen)).body).toBe('ECONNRESET')
    expect(await capture.saw('NEVER-IN-CLEAR')).toBe(false)
  } finally {
    for (const part of ['control', 'certs'] as const) stopSystem(mesh, part, 'SIGCONT')
  }
  expect((await call(mesh, 'client-0', 'http://later:8080/')).status).toBe(200)
})

test('a killed sidecar fails closed: nothing crosses in clear while it is away', async () => {
  await using mesh = await startMesh(pod({ name: 'client' }) + echo() + pod({ name: 'outsider', inject: false }))
  const sidecar = mesh.running.pods.get('echo-0')?.sidecar?.pid ?? 0
  const host = mesh.addressOf('echo-0')
  process.kill(sidecar, 'SIGKILL')
  const during = await callTimes(mesh, 'outsider-0', `http://${host}:8080/`, { count: 20 })

  expect(during.filter(({ status }) => status !== 0)).toEqual([])
  await untilReady(mesh, 'echo-0', sidecar)
  await until(async () => (await call(mesh, 'client-0', 'http://echo:8080/')).status === 200)
})

test('control that was killed is started again and knows the same', async () => {
  await using mesh = await startMesh(pod({ name: 'client' }) + echo() + echo({ name: 'later' }))
  const before = pidOf(mesh, 'control')
  stopSystem(mesh, 'control', 'SIGKILL')
  await until(() => ![undefined, null, before].includes(mesh.running.system('control')?.pid))

  await until(async () => (await call(mesh, 'client-0', 'http://later:8080/')).status === 200)
})

test('a bad document is refused with its place, and the last good configuration stays in force', async () => {
  await using mesh = await startMesh(pod({ name: 'client' }) + echo())
  const file = mesh.running.paths.mesh
  const good = readFileSync(file, 'utf8')
  mesh.configure(`${good}\n${meshPolicy('bad', { mtls: { mode: 'Stricct' } })}`)

  await until(() => mesh.log('control').includes('Stricct'))
  expect(mesh.log('control')).toMatch(/spec\.mtls\.mode/)
  expect((await call(mesh, 'client-0', 'http://echo:8080/')).status).toBe(200)
})

async function failuresOf(mesh: TestMesh, count: number) {
  const answers = await callTimes(mesh, 'client-0', 'http://echo:8080/', { count })
  return answers.filter(({ status }) => status !== 200)
}

async function untilReady(mesh: TestMesh, podName: string, notPid: number): Promise<void> {
  await until(() => {
    const pid = mesh.running.pods.get(podName)?.sidecar?.pid
    return pid != null && pid !== notPid
  })
  const ready = 'fetch("http://127.0.0.1:15021/ready").then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))'
  await until(async () => (await mesh.exec(podName, ['node', '-e', ready])).code === 0)
}

async function until(test: () => boolean | Promise<boolean>, limitMs = 60_000): Promise<void> {
  const deadline = performance.now() + limitMs
  while (!(await test())) {
    if (performance.now() > deadline) throw new Error('it did not happen in time')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
