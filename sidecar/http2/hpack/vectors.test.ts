// The examples of RFC 7541, appendix C.
import { expect, test } from 'vitest'
import type { Fields } from '#flow/stream.ts'
import { HpackDecoder } from './decode.ts'

function decodeAll(blocks: readonly string[], limitBytes?: number): { fields: Fields; neverIndexed: string[] }[] {
  const decoder = new HpackDecoder(limitBytes)
  return blocks.map((hex) => {
    const bytes = Buffer.from(hex, 'hex')
    const read = { fields: [] as Fields, neverIndexed: [] as string[] }
    decoder.decode(bytes, 0, bytes.length, {
      field(name, value, isSound, isNeverIndexed) {
        expect(isSound).toBe(true)
        read.fields.push(name, value)
        if (isNeverIndexed) read.neverIndexed.push(name)
      },
    })
    return read
  })
}

const REQUESTS: Fields[] = [
  [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'www.example.com'],
  [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'www.example.com', 'cache-control', 'no-cache'],
  [
    ...[':method', 'GET', ':scheme', 'https', ':path', '/index.html', ':authority', 'www.example.com'],
    ...['custom-key', 'custom-value'],
  ],
]
const COOKIE = 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'
const [EARLIER, LATER] = ['Mon, 21 Oct 2013 20:13:21 GMT', 'Mon, 21 Oct 2013 20:13:22 GMT']
const PLACE = ['location', 'https://www.example.com']
const RESPONSES: Fields[] = [
  [':status', '302', 'cache-control', 'private', 'date', EARLIER, ...PLACE],
  [':status', '307', 'cache-control', 'private', 'date', EARLIER, ...PLACE],
  [
    ...[':status', '200', 'cache-control', 'private', 'date', LATER, ...PLACE],
    ...['content-encoding', 'gzip', 'set-cookie', COOKIE],
  ],
]

test.each([
  ['C.2.1 with indexing', '400a637573746f6d2d6b65790d637573746f6d2d686561646572', ['custom-key', 'custom-header'], []],
  ['C.2.2 without indexing', '040c2f73616d706c652f70617468', [':path', '/sample/path'], []],
  ['C.2.3 never indexed', '100870617373776f726406736563726574', ['password', 'secret'], ['password']],
  ['C.2.4 indexed', '82', [':method', 'GET'], []],
])('a literal of %s is read', (_name, hex, fields, neverIndexed) => {
  expect(decodeAll([hex])).toEqual([{ fields, neverIndexed }])
})

test.each([
  [
    'C.3 without Huffman',
    [
      '828684410f7777772e6578616d706c652e636f6d',
      '828684be58086e6f2d6361636865',
      '828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565',
    ],
  ],
  [
    'C.4 with Huffman',
    [
      '828684418cf1e3c2e5f23a6ba0ab90f4ff',
      '828684be5886a8eb10649cbf',
      '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf',
    ],
  ],
])('the requests of %s are read on one table', (_name, blocks) => {
  expect(decodeAll(blocks).map(({ fields }) => fields)).toEqual(REQUESTS)
})

test.each([
  [
    'C.5 without Huffman',
    [
      '4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54' +
        '6e1768747470733a2f2f7777772e6578616d706c652e636f6d',
      '4803333037c1c0bf',
      '88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b48' +
        '514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31',
    ],
  ],
  [
    'C.6 with Huffman',
    [
      '488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3',
      '4883640effc1c0bf',
      '88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27' +
        '087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007',
    ],
  ],
])('the answers of %s are read on a table of 256 bytes, which evicts', (_name, blocks) => {
  expect(decodeAll(blocks, 256).map(({ fields }) => fields)).toEqual(RESPONSES)
})
