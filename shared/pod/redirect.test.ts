import { describe, expect, test } from 'vitest'
import { findHooks, redirectProgram, removalProgram, UNTOUCHED } from './redirect.ts'

describe('redirection program', () => {
  test('all TCP but the sidecar, loopback and the health ports is redirected, alike for both families', () => {
    const { v4, v6 } = redirectProgram()
    expect(v4).toMatchInlineSnapshot(`
      "*nat
      :WEFT_OUTBOUND - [0:0]
      :WEFT_INBOUND - [0:0]
      -A WEFT_OUTBOUND -m owner --uid-owner 1337 -j RETURN
      -A WEFT_OUTBOUND -m owner --gid-owner 1337 -j RETURN
      -A WEFT_OUTBOUND -o lo -j RETURN
      -A WEFT_OUTBOUND -p tcp -j REDIRECT --to-ports 15001
      -A WEFT_INBOUND -p tcp -m multiport --dports 15020,15021 -j RETURN
      -A WEFT_INBOUND -p tcp -j REDIRECT --to-ports 15006
      -A OUTPUT -p tcp -j WEFT_OUTBOUND
      -A PREROUTING -p tcp -j WEFT_INBOUND
      COMMIT
      "
    `)
    expect(v6).toBe(v4)
  })

  test('ports, ranges and uids to skip come before the redirection', () => {
    const { v4 } = redirectProgram({
      skipInboundPorts: [22, [9000, 9010]],
      skipOutboundPorts: [25],
      skipOutboundCIDRs: ['169.254.169.254/32', 'fd00:ec2::/32'],
      skipOutboundUids: [0, 1000],
    })
    expect(v4.split('\n').filter((line) => line.startsWith('-A WEFT'))).toMatchInlineSnapshot(`
      [
        "-A WEFT_OUTBOUND -m owner --uid-owner 1337 -j RETURN",
        "-A WEFT_OUTBOUND -m owner --gid-owner 1337 -j RETURN",
        "-A WEFT_OUTBOUND -o lo -j RETURN",
        "-A WEFT_OUTBOUND -m owner --uid-owner 0 -j RETURN",
        "-A WEFT_OUTBOUND -m owner --uid-owner 1000 -j RETURN",
        "-A WEFT_OUTBOUND -d 169.254.169.254/32 -j RETURN",
        "-A WEFT_OUTBOUND -p tcp -m multiport --dports 25 -j RETURN",
        "-A WEFT_OUTBOUND -p tcp -j REDIRECT --to-ports 15001",
        "-A WEFT_INBOUND -p tcp -m multiport --dports 15020,15021,22,9000:9010 -j RETURN",
        "-A WEFT_INBOUND -p tcp -j REDIRECT --to-ports 15006",
      ]
    `)
  })

  test('a range of addresses lands in the program of its own family only', () => {
    const { v4, v6 } = redirectProgram({ skipOutboundCIDRs: ['10.0.0.0/8', 'fd00::/8'] })
    expect([v4.includes('10.0.0.0/8'), v4.includes('fd00::/8')]).toEqual([true, false])
    expect([v6.includes('10.0.0.0/8'), v6.includes('fd00::/8')]).toEqual([false, true])
  })

  test('no multiport rule holds more than the fifteen numbers that the kernel takes, a range counting as two', () => {
    const ports = Array.from({ length: 40 }, (_, index) => 1000 + index)
    const { v4 } = redirectProgram({ skipOutboundPorts: [...ports, [2000, 2010], [3000, 3010]] })
    const groups = [...v4.matchAll(/-A WEFT_OUTBOUND -p tcp -m multiport --dports (\S+)/g)].map(([, list = '']) => list)
    expect(groups.map((group) => group.split(/[,:]/).length)).toEqual([15, 15, 14])
    expect(groups.join(',').split(',')).toEqual([...ports.map(String), '2000:2010', '3000:3010'])
  })

  test('a hook that is there is taken out first, however often it is there', () => {
    const { v4, v6 } = redirectProgram({}, { v4: { output: 2, prerouting: 1 }, v6: { output: 0, prerouting: 0 } })
    expect(v4.match(/^-D .*/gm)).toEqual([
      '-D OUTPUT -p tcp -j WEFT_OUTBOUND',
      '-D OUTPUT -p tcp -j WEFT_OUTBOUND',
      '-D PREROUTING -p tcp -j WEFT_INBOUND',
    ])
    expect(v6).not.toContain('-D ')
  })

  test('removal takes out the hooks that are there and both chains', () => {
    expect(removalProgram({ ...UNTOUCHED, v4: { output: 1, prerouting: 1 } }).v4).toMatchInlineSnapshot(`
      "*nat
      -D OUTPUT -p tcp -j WEFT_OUTBOUND
      -D PREROUTING -p tcp -j WEFT_INBOUND
      :WEFT_OUTBOUND - [0:0]
      :WEFT_INBOUND - [0:0]
      -X WEFT_OUTBOUND
      -X WEFT_INBOUND
      COMMIT
      "
    `)
  })

  test('hooks are counted in what iptables-save prints, and the rules of others are not ours', () => {
    const saved = '*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p tcp -j WEFT_OUTBOUND\n-A OUTPUT -p tcp -j OTHER\nCOMMIT\n'
    expect(findHooks(saved)).toEqual({ output: 1, prerouting: 0 })
  })

  test.each([
    [{ skipOutboundPorts: [0] }, '0 is not a port'],
    [{ skipInboundPorts: [65536] }, '65536 is not a port'],
    [{ skipInboundPorts: [[9, 8] as const] }, 'the first is higher'],
    [{ skipOutboundUids: [-1] }, '-1 is not a user'],
    [{ skipOutboundUids: [Number.NaN] }, 'NaN is not a user'],
    [{ skipOutboundCIDRs: ['10.0.0.0/8\n-A OUTPUT -j DROP'] }, 'is not a range of addresses'],
    [{ skipOutboundCIDRs: ['10.0.0.0/33'] }, 'is not a range of addresses'],
    [{ skipOutboundCIDRs: ['10.0.0.0'] }, 'is not a range of addresses'],
    [{ skipOutboundCIDRs: ['fe80::1%eth0\n/64'] }, 'is not a range of addresses'],
  ])('an option that is none is refused before it can reach iptables: %j', (options, message) => {
    expect(() => redirectProgram(options)).toThrow(message)
  })
})
