// `make demo`: brings the shop up in a mesh, drives traffic through it, and says what it saw. With --check it compares, takes
// the mesh down and exits non-zero when anything was not as said.
import { parseArgs } from 'node:util'
import { createReport } from './demo/report.ts'
import { SCENES } from './demo/scenes.ts'
import { openShop, type Shop } from './demo/shop.ts'
import { weft, weftAloud } from './demo/weft.ts'

const MESH = 'shop'
const FILE = 'examples/shop/mesh.yaml'

async function play(shop: Shop): Promise<readonly string[]> {
  const report = createReport((text) => process.stdout.write(text))
  for (const [title, scene] of SCENES) {
    report.scene(title)
    try {
      await scene(shop, report)
    } catch (error) {
      report.expect('the scene could be played', false, error instanceof Error ? error.message : String(error))
    }
  }
  return report.failures
}

function tellWhatToTry(shop: Shop): void {
  const web = shop.webUrl
  const toTry = [
    [`curl ${web}/`, 'the front page; also /catalog /product/1 /reviews /price /receipts'],
    [`curl -H 'x-canary: v2' ${web}/catalog`, 'the canary'],
    ['bin/weft status', 'what runs, with addresses and identities'],
    ['bin/weft traces', 'the last traces'],
    ['bin/weft logs web --sidecar', "the access log of web's sidecar"],
    ["bin/weft exec cart -- redis-cli -h redis KEYS '*'", 'Redis, as cart reaches it'],
  ] as const
  console.log('\nThe shop is open. Try:')
  for (const [command, meaning] of toTry) console.log(`  ${command.padEnd(51)} ${meaning}`)
  console.log(`End it with: bin/weft down ${MESH}`)
}

function tellVerdict(failures: readonly string[]): void {
  if (failures.length === 0) return console.log('\nEverything was as said.')
  console.log(`\n${failures.length} ${failures.length === 1 ? 'thing was' : 'things were'} not as said:`)
  for (const failure of failures) console.log(`  ${failure}`)
  process.exitCode = 1
}

/** A mesh that was killed is none: `weft up` removes what it left. */
function isRunning(): Promise<boolean> {
  return weft('status', '--mesh', MESH).then(
    () => true,
    () => false,
  )
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } })
  let isUp = false
  const down = () => weft('down', MESH)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => down().finally(() => process.exit(130)))
  }
  try {
    if (await isRunning()) {
      console.log('the shop of an earlier demo is up: taking it down first')
      await down()
    }
    await weftAloud('up', FILE, '--detach')
    isUp = true
    const shop = await openShop(MESH)
    tellVerdict(await play(shop))
    if (!values.check) tellWhatToTry(shop)
  } catch (error) {
    console.error(`demo: ${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = 1
  } finally {
    if (isUp && values.check) await down()
  }
}

await main()
