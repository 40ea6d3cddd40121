import { expect, test } from 'vitest'
import { Failure } from './failure.ts'
import { createTerminal, formatTable, paint, paintError, tellError } from './terminal.ts'

test('columns of a table are as wide as their widest cell', () => {
  expect(
    formatTable([
      ['POD', 'READY'],
      ['catalog-0', 'yes'],
      ['web', ''],
    ]),
  ).toBe('POD        READY\ncatalog-0  yes\nweb')
})

test('there is no colour where no terminal is, or NO_COLOR says so', () => {
  const terminal = createTerminal({ NO_COLOR: '1' })
  expect(paint(terminal, 'bad', 'text')).toBe('text')
  expect(paint({ ...terminal, isColoured: true }, 'bad', 'text')).toBe('\u001b[31mtext\u001b[0m')
})

test('an error is coloured by what stands behind the standard error, not the standard output', () => {
  const terminal = createTerminal({ NO_COLOR: '1' })
  expect(paintError({ ...terminal, isColoured: true }, 'weft:')).toBe('weft:')
  expect(paintError({ ...terminal, isErrorColoured: true }, 'weft:')).toBe('\u001b[31mweft:\u001b[0m')
})

test('a failure is told with its way out', () => {
  const said: string[] = []
  const terminal = { ...createTerminal({ NO_COLOR: '1' }), error: (line: string) => void said.push(line) }
  tellError(terminal, new Failure('no mesh is up', 'Bring one up: weft up mesh.yaml'))
  expect(said).toEqual(['weft: no mesh is up', 'Bring one up: weft up mesh.yaml'])
})
