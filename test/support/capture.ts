// Packets of a link, captured by tcpdump. A capture that saw nothing proves nothing: plant a marker first.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { networkOf } from '../../cli/up/namespaces.ts'

/** Every frame between pods passes the bridge. */
const BRIDGE = 'weft0'

export interface Capture extends AsyncDisposable {
  /** Whether these bytes crossed the link so far, as far as a second shows. */
  saw(marker: string): Promise<boolean>
  /** Resolves when they have been seen; throws when they are not within half a minute. */
  sees(marker: string): Promise<void>
}

/** All packets between the pods of a mesh, whole. Needs root and Debian's tcpdump. */
export function captureMesh(meshName: string): Promise<Capture> {
  const { namespace } = networkOf(meshName)
  return capture(['ip', 'netns', 'exec', namespace], BRIDGE)
}

/** All packets on a link of this machine that pass a filter of pcap. */
export const captureLink = (link: string, filter: string): Promise<Capture> => capture([], link, filter)

async function capture(within: readonly string[], link: string, filter = ''): Promise<Capture> {
  const directory = mkdtempSync(join(tmpdir(), 'weft-capture-'))
  const file = join(directory, 'packets.pcap')
  const options = ['-i', link, '-s', '0', '-U', '--immediate-mode', '-Z', 'root', '-w', file]
  const [program = '', ...argv] = [...within, 'tcpdump', ...options, ...(filter === '' ? [] : [filter])]
  const tcpdump = spawn(program, argv, { stdio: ['ignore', 'ignore', 'pipe'] })
  await untilListening(tcpdump)
  // What is on its way from the kernel to the file arrives within a moment; absence is judged after that moment.
  const look = async (marker: string, rounds: number) => {
    for (let i = 0; i < rounds; i++) {
      if (readFileSync(file).includes(marker)) return true
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    return false
  }
  return {
    saw: (marker) => look(marker, 20),
    async sees(marker) {
      if (!(await look(marker, 600))) throw new Error(`${marker} was not seen on ${link}`)
    },
    async [Symbol.asyncDispose]() {
      const ended = new Promise((resolve) => tcpdump.once('close', resolve))
      tcpdump.kill('SIGTERM')
      await ended
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function untilListening(tcpdump: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = ''
    tcpdump.stderr?.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      if (text.includes('listening on')) resolve()
    })
    tcpdump.once('error', reject)
    tcpdump.once('close', (code) => reject(new Error(`tcpdump ended with ${code}: ${text}`)))
  })
}
