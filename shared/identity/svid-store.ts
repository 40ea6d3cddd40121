// Key and certificate on the pod's own volume, so that a restarted sidecar needs no authority while they are valid.
// One file, so that a crash never leaves a key beside another key's certificate.
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface StoredSvid {
  readonly key: KeyObject
  readonly chain: string
}

const fileIn = (stateDir: string) => join(stateDir, 'svid.pem')

/** undefined when nothing is stored; throws an Error when what is there cannot be trusted or read. */
export function loadSvid(stateDir: string): StoredSvid | undefined {
  const file = fileIn(stateDir)
  const mode = statSync(file, { throwIfNoEntry: false })?.mode
  if (mode === undefined) return undefined
  if ((mode & 0o077) !== 0) throw new Error(`${file} can be read by others (mode ${(mode & 0o777).toString(8)})`)
  const text = readFileSync(file, 'utf8')
  return { key: createPrivateKey(text), chain: text.slice(text.indexOf('-----BEGIN CERTIFICATE-----')) }
}

export async function saveSvid(stateDir: string, svid: StoredSvid): Promise<void> {
  const file = fileIn(stateDir)
  const draft = `${file}.draft`
  await rm(draft, { force: true })
  // wx: never into a file or link that somebody else has put there.
  await writeFile(draft, `${svid.key.export({ type: 'pkcs8', format: 'pem' })}${svid.chain}`, {
    mode: 0o600,
    flag: 'wx',
  })
  await rename(draft, file)
}
