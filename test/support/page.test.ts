import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { followPage } from './follow-page.ts'
import { readPage } from './page.ts'
import { difference } from './page-output.ts'
import { openShell, type Shell } from './shell.ts'

let directory: string
let shell: Shell
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'weft-page-'))
  shell = openShell({ cwd: directory, env: process.env, timeoutMs: 10_000 })
})
afterEach(async () => {
  await shell[Symbol.asyncDispose]()
  await rm(directory, { recursive: true })
})

const fence = (language: string, ...lines: readonly string[]) => [`\`\`\`${language}`, ...lines, '```', ''].join('\n')
const follow = (markdown: string, more: object = {}) =>
  followPage(readPage('page.md', markdown), { shell, directory, ...more })

test('a page that is right is followed from its first command to its last, in one shell', async () => {
  const page = [
    'Save this as `two.txt`:\n',
    fence('', 'one', 'two'),
    fence('sh', 'name=two.txt', 'cat > three.txt <<END', 'three', 'END'),
    fence('console', '$ cat $name \\', '> three.txt', 'one', 'two', 'three', '$ wc -l <two.txt', '2'),
  ]
  await follow(page.join('\n'))
  expect(await readdir(directory)).toEqual(['three.txt'])
})

test.each([
  [
    'a command that is not there',
    fence('sh', 'kubektl get pods'),
    /^page.md:1: kubektl get pods\nended with 127:\n.*not found/s,
  ],
  ['a command that fails before the last', fence('sh', 'false', 'true'), /^page.md:1: false\ntrue\nended with 1/],
  ['one that fails within a pipe', fence('sh', 'false | cat'), /ended with 1/],
  ['a mistake of syntax', fence('sh', 'if then'), /ended with [12]:.*syntax error/s],
  ['other output', fence('console', '$ echo a', 'b'), /the page shows\nb\nand this came\na$/],
  ['less output', fence('console', '$ echo a', 'a', 'b'), /the page shows/],
  ['more output', fence('console', '$ seq 2', '1'), /the page shows/],
  ['output where none is shown', fence('console', '$ echo a'), /and this came\na/],
])('%s in a page is noticed', async (_what, page, said) => {
  await expect(follow(page)).rejects.toThrow(said)
})

test('a command that does not end is ended with all that it has begun', async () => {
  await using hasty = openShell({ cwd: directory, env: process.env, timeoutMs: 100 })
  const page = readPage('page.md', fence('sh', 'sleep 1000 & sleep 1000'))
  await expect(followPage(page, { shell: hasty, directory })).rejects.toThrow('did not end in time')
})

test('a shell that cannot be started is told', async () => {
  await using none = openShell({ cwd: directory, env: { PATH: directory }, timeoutMs: 10_000 })
  await expect(none.run('true')).rejects.toThrow('there is no shell')
})

test('a page of which nothing was run fails', async () => {
  await expect(follow('Nothing to do here.')).rejects.toThrow('page.md: nothing of it was run')
  const page = `<!-- not run: it needs a cloud -->\n${fence('sh', 'cloud up')}`
  await expect(follow(page)).rejects.toThrow('page.md: nothing of it was run')
  expect(readPage('page.md', page).steps).toMatchObject([{ kind: 'skip', why: 'it needs a cloud', text: 'cloud up\n' }])
  const other = { isMeant: ({ section }: { section: string }) => section === 'Uninstall' }
  await expect(follow(`# Install\n${fence('sh', 'true')}`, other)).rejects.toThrow('nothing of it was run')
})

test('what is not run is the one block after the comment', async () => {
  await expect(
    follow(`<!-- not run: it fails -->\n\n${fence('sh', 'false')}\n${fence('sh', 'exit 3')}`),
  ).rejects.toThrow('page.md:7: exit 3\nended with 3')
})

test('what is shown of a file must stand in it', async () => {
  await writeFile(join(directory, 'route.yaml'), 'a: 1\nb: 2\n')
  const page = (text: string) => `<!-- part of route.yaml -->\n${fence('yaml', text)}${fence('sh', 'true')}`
  await follow(page('b: 2'))
  await expect(follow(page('b: 3'))).rejects.toThrow('page.md:2: this is not in route.yaml')
})

test('a block that is nothing of this is a mistake', () => {
  expect(() => readPage('page.md', `# A\n${fence('', 'x')}`)).toThrow('page.md:2: a block of no language is no command')
  expect(() => readPage('page.md', fence('console', 'x'))).toThrow('a console block begins with "$ "')
  expect(() => readPage('page.md', '```sh\ntrue\n')).toThrow('page.md:1: the block does not end')
})

test('commands within sentences are found', () => {
  expect(readPage('page.md', 'Say `kubectl get pods`,\nor `make`, not `kubectl get`.\n').mentioned).toEqual([
    'page.md:1: kubectl get pods',
  ])
})

test('options can be added to a command, and what is run is told', async () => {
  const change = (command: string) => command.replace('install', 'install --set a=b; false')
  await expect(follow(fence('sh', 'echo install'), { change })).rejects.toThrow('echo install --set a=b; false')
})

test.each([
  ['web-7d9c5b4f6c-x2xkq   2/2   Running   0   12s', 'web-6bcd84f5c9-4kxzt 2/2  Running 0 1m30s'],
  ['one\n...\nfive', 'one\ntwo\nthree\nfive'],
  ['one\n...', 'one'],
  ['one\n...', 'one\ntwo'],
  ['a ... c', 'a b b c'],
  ['took 12ms', 'took 1.5s'],
])('%j may stand for %j', (shown, printed) => {
  expect(difference(shown, printed)).toBeNull()
})

test.each([
  ['web-7d9c5b4f6c-x2xkq', 'api-6bcd84f5c9-4kxzt'],
  ['web-7d9c5b4f6c-x2xkq 2/2', 'web-6bcd84f5c9-4kxzt 1/2'],
  ['one\n...\nfive', 'one\ntwo\nthree'],
  ['a ... c', 'a b\nb c'],
  ['a.c', 'abc'],
  ['ab', 'a b'],
  ['57 of v1', '56 of v1'],
])('%j does not stand for %j', (shown, printed) => {
  expect(difference(shown, printed)).not.toBeNull()
})

test('numbers vary where the page says so', async () => {
  const page = (language: string) => `<!-- numbers vary -->\n${fence(language, '$ echo 56 of a', '57 of a')}`
  await follow(page('console'))
  await expect(follow(page('console').replace('57 of a', '57 of b'))).rejects.toThrow('the page shows')
})

test('what need not be so at once is looked at again, and no longer than the page says', async () => {
  const soon = fence('console', '$ echo x >>tries; [ $(wc -l <tries) = 3 ] && cat tries', 'x', 'x', 'x')
  await follow(`<!-- within 30s -->\n${soon}`)
  const never = fence('console', '$ false', 'x')
  await expect(follow(`<!-- within 1s -->\n${never}`)).rejects.toThrow('and this came\nthat failed')
})

const DISCARDED = 'E1127 22:19:51.360867   29419 websocket.go:296] Unknown stream id 1, discarding message'

test('a line of kubectl about a message that it discarded is none of what a command printed', async () => {
  await follow(fence('console', `$ echo a; echo '${DISCARDED}' >&2; echo b`, 'a', 'b'))
  await follow(fence('console', `$ printf a; echo '${DISCARDED}' >&2`, 'a'))
})

test.each([
  DISCARDED.replace('discarding', 'discarding the'),
  DISCARDED.replace('Unknown', 'Known'),
  DISCARDED.replace('websocket', 'other'),
  DISCARDED.replace('E1127 ', ''),
])('no other line is taken for it: %s', async (line) => {
  await expect(follow(fence('console', `$ echo '${line}'`))).rejects.toThrow(line)
})

test('a command whose output was lost with such a line is repeated, three times at most', async () => {
  const page = (losses: number) =>
    fence(
      'console',
      `$ echo >>tries; if [ $(wc -l <tries) -le ${losses} ]; then echo '${DISCARDED}'; else echo a; fi`,
      'a',
    )
  await follow(page(3))
  await rm(join(directory, 'tries'))
  await expect(follow(page(4))).rejects.toThrow('the page shows\na\nand this came\n')
  expect(await readFile(join(directory, 'tries'), 'utf8')).toHaveLength(4)
})

test('output that is not the right one is not asked for again without such a line', async () => {
  await expect(follow(fence('console', '$ echo >>tries; wc -l <tries', '2'))).rejects.toThrow('and this came\n1')
})
