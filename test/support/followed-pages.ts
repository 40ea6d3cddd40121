// The pages whose commands a test runs, one after the other, in one cluster (test/e2e/kubernetes-documents.test.ts).
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Page, readPage } from './page.ts'

const ROOT = join(import.meta.dirname, '../..')
const NAMES = ['install-kubernetes', 'inject', 'routes', 'troubleshoot-kubernetes'] as const

export function followedPages(): Readonly<Record<(typeof NAMES)[number], Page>> {
  const entries = NAMES.map((name) => {
    const file = `docs/${name}.md`
    return [name, readPage(file, readFileSync(join(ROOT, file), 'utf8'))] as const
  })
  return Object.fromEntries(entries) as Record<(typeof NAMES)[number], Page>
}
