// The shop's nightly report: asks the front page once, says how many products there are, and ends.
const response = await fetch('http://web:8080/')
const { catalog } = (await response.json()) as { catalog: { products?: readonly object[] } }
if (!response.ok || catalog.products === undefined) throw new Error(`the shop answered ${response.status}`)
console.log(`report: ${catalog.products.length} products`)
