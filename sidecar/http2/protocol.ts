// The numbers of RFC 9113: sections 6, 7 and 11.

export const DATA = 0
export const HEADERS = 1
export const PRIORITY = 2
export const RST_STREAM = 3
export const SETTINGS = 4
export const PUSH_PROMISE = 5
export const PING = 6
export const GOAWAY = 7
export const WINDOW_UPDATE = 8
export const CONTINUATION = 9

export const END_STREAM = 0x1
export const ACK = 0x1
export const END_HEADERS = 0x4
export const PADDED = 0x8
export const HAS_PRIORITY = 0x20

export const NO_ERROR = 0
export const PROTOCOL_ERROR = 1
export const INTERNAL_ERROR = 2
export const FLOW_CONTROL_ERROR = 3
export const SETTINGS_TIMEOUT = 4
export const STREAM_CLOSED = 5
export const FRAME_SIZE_ERROR = 6
export const REFUSED_STREAM = 7
export const CANCEL = 8
export const COMPRESSION_ERROR = 9
export const ENHANCE_YOUR_CALM = 11

export const SETTINGS_HEADER_TABLE_SIZE = 1
export const SETTINGS_ENABLE_PUSH = 2
export const SETTINGS_MAX_CONCURRENT_STREAMS = 3
export const SETTINGS_INITIAL_WINDOW_SIZE = 4
export const SETTINGS_MAX_FRAME_SIZE = 5
export const SETTINGS_MAX_HEADER_LIST_SIZE = 6

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')
export const FRAME_HEAD_BYTES = 9
/** What every peer must take (section 4.2); larger ones would only let one stream hold up the others. */
export const FRAME_LIMIT_BYTES = 16_384
/** Of a body in one frame that with its head fills a record of TLS. */
export const DATA_LIMIT_BYTES = FRAME_LIMIT_BYTES - FRAME_HEAD_BYTES
/** Of both windows until SETTINGS or WINDOW_UPDATE say otherwise. */
export const INITIAL_WINDOW_BYTES = 65_535
export const WINDOW_LIMIT_BYTES = 2 ** 31 - 1
export const LAST_STREAM_ID = 2 ** 31 - 1
