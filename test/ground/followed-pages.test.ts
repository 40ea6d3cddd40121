// What a test runs of the pages on Kubernetes, as far as it can be told without a cluster.
import { expect, test } from 'vitest'
import { followedPages } from '../support/followed-pages.ts'

const pages = Object.values(followedPages())
const steps = pages.flatMap((page) => page.steps)

test('these blocks and no others are not run, for the reason that stands above them', () => {
  const skipped = steps.flatMap((step) => (step.kind === 'skip' ? [`${step.text.trim()} # ${step.why}`] : []))
  expect(skipped).toEqual([
    expect.stringMatching(
      /^kubectl apply .*gateway-api.* # the tests take the same CRDs from the Go module of the Gateway API/,
    ),
    expect.stringMatching(/^helm install weft .* # this page makes the same shop by hand$/s),
    expect.stringMatching(/^certificates:.* # there is no cert-manager where the tests run$/s),
    expect.stringMatching(/^scripts\/images --docker .* # test\/e2e\/images\.test\.ts does, on a base of its own$/),
    'scripts/images --load # the tests have done so before they follow this page',
    expect.stringMatching(
      /^kubectl .*patch secret weft-root .* # the uninstallation that a test follows is to leave nothing$/,
    ),
  ])
})

test('a command that a sentence names stands in a block that is run, too', () => {
  const run = steps.map((step) => (step.kind === 'run' ? step.command : '')).join('')
  const mentioned = pages.flatMap((page) => page.mentioned)
  expect(mentioned.filter((mention) => !run.includes(mention.replace(/^\S+ /, '')))).toEqual([])
})

test.each(pages)('$name has commands that are run', (page) => {
  expect(page.steps.filter(({ kind }) => kind === 'run').length).toBeGreaterThan(2)
})
