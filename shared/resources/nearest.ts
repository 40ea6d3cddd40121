// The known word that someone most likely meant.

/** Undefined when nothing is near: at most three edits, and at most half of the word. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  if (word.length > 64) return undefined
  const lower = word.toLowerCase()
  let best: string | undefined
  let bestDistance = 4
  for (const candidate of known) {
    const distance = editDistance(lower, candidate.toLowerCase())
    if (distance >= bestDistance || distance * 2 > candidate.length) continue
    best = candidate
    bestDistance = distance
  }
  return best ?? known.find((candidate) => isPartOf(lower, candidate.toLowerCase()))
}

function isPartOf(word: string, candidate: string): boolean {
  return word.length >= 4 && candidate.length >= 4 && (candidate.includes(word) || word.includes(candidate))
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1
      let least = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + cost)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, (beforeLast[j - 2] ?? 0) + 1)
      row.push(least)
    }
    beforeLast = last
    last = row
  }
  return last[b.length] ?? 0
}
