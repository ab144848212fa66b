/** The header of the PROXY protocol, from bytes alone [V12]. */
import { assert, assertEquals, assertLessOrEqual, assertThrows } from "@std/assert";
import { crc32c } from "../../src/proxy/crc32c.ts";
import type { ProxiedConnection, ProxyHeader, ReceivedHeader } from "../../src/proxy/header.ts";
import { parseProxyHeader } from "../../src/proxy/parse.ts";
import { isPeer, PeerList } from "../../src/proxy/peer_list.ts";
import { encodeV1 } from "../../src/proxy/v1.ts";
import { encodeV2, V2_SIGNATURE } from "../../src/proxy/v2.ts";
import { SeededRandom } from "../../src/testing/mod.ts";

const ascii = (text: string) => new TextEncoder().encode(text);
const at = (hostname: string, port: number): Deno.NetAddr => ({ transport: "tcp", hostname, port });

function encode(header: ProxyHeader): Uint8Array {
  return header !== "local" && header.version === 1 ? encodeV1(header) : encodeV2(header);
}

/** A header of version 2 with any content. */
function v2(command: number, kind: number, body: readonly number[], length = body.length): Uint8Array {
  return Uint8Array.of(...V2_SIGNATURE, command, kind, length >> 8, length & 255, ...body);
}

function whole(bytes: Uint8Array): ReceivedHeader {
  const progress = parseProxyHeader(bytes);
  assert(!("missing" in progress), "the header is not complete");
  return progress;
}

/** Checks that the parser asks for nothing beyond the header, whatever it has of it. */
function assertNeverAsksBeyond(header: Uint8Array): void {
  for (let length = 0; length < header.length; length++) {
    const progress = parseProxyHeader(header.subarray(0, length));
    assert("missing" in progress, `complete after ${length} of ${header.length} bytes`);
    assert(progress.missing > 0);
    assertLessOrEqual(length + progress.missing, header.length);
  }
}

const ipv4 = [192, 0, 2, 1, 198, 51, 100, 2, 0x0f, 0xa0, 0x01, 0xbb];
const client = at("192.0.2.1", 4000), front = at("198.51.100.2", 443);

const goodV1: [line: string, source: Deno.NetAddr | null, destination: Deno.NetAddr | null][] = [
  ["PROXY TCP4 192.0.2.1 198.51.100.2 4000 443", client, front],
  ["PROXY TCP4 0.0.0.0 255.255.255.255 0 65535", at("0.0.0.0", 0), at("255.255.255.255", 65535)],
  ["PROXY TCP6 2001:db8::1 :: 1 2", at("2001:db8::1", 1), at("::", 2)],
  ["PROXY TCP6 2001:0DB8:0:0:0:0:0:1 ::1 1 2", at("2001:db8::1", 1), at("::1", 2)],
  ["PROXY UNKNOWN", null, null],
  ["PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535", null, null],
];

for (const [line, source, destination] of goodV1) {
  Deno.test(`version 1: ${line} [V12]`, () => {
    const bytes = ascii(`${line}\r\n`);
    assertEquals(whole(bytes), { version: 1, command: "proxy", source, destination, tlvs: {} });
    assertNeverAsksBeyond(bytes);
  });
}

const badV1: [what: string, text: string][] = [
  ["no header", "GET / HTTP/1.1\r\n"],
  ["no header that begins with a P", "PUT / HTTP/1.1\r\n"],
  ["small letters", "proxy TCP4 192.0.2.1 198.51.100.2 4000 443\r\n"],
  ["LF alone", "PROXY TCP4 192.0.2.1 198.51.100.2 4000 443\n"],
  ["CR alone", "PROXY TCP4 192.0.2.1 198.51.100.2 4000 443\rX"],
  ["an unknown family", "PROXY UDP4 192.0.2.1 198.51.100.2 4000 443\r\n"],
  ["an inherited family", "PROXY toString 192.0.2.1 198.51.100.2 4000 443\r\n"],
  ["two spaces", "PROXY TCP4  192.0.2.1 198.51.100.2 4000 443\r\n"],
  ["a field too few", "PROXY TCP4 192.0.2.1 198.51.100.2 4000\r\n"],
  ["a field too many", "PROXY TCP4 192.0.2.1 198.51.100.2 4000 443 1\r\n"],
  ["a space at the end", "PROXY TCP4 192.0.2.1 198.51.100.2 4000 443 \r\n"],
  ["IPv6 for TCP4", "PROXY TCP4 ::1 ::1 4000 443\r\n"],
  ["IPv4 for TCP6", "PROXY TCP6 192.0.2.1 198.51.100.2 4000 443\r\n"],
  ["leading zeros in an address", "PROXY TCP4 192.000.002.001 198.51.100.2 4000 443\r\n"],
  ["a zone", "PROXY TCP6 fe80::1%1 ::1 4000 443\r\n"],
  ["leading zeros in a port", "PROXY TCP4 192.0.2.1 198.51.100.2 04000 443\r\n"],
  ["a port beyond 65535", "PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n"],
  ["a negative port", "PROXY TCP4 192.0.2.1 198.51.100.2 -1 443\r\n"],
  ["no end within 107 bytes", `PROXY UNKNOWN ${"x".repeat(100)}`],
  ["a line of 108 bytes", `PROXY UNKNOWN ${"x".repeat(92)}\r\n`],
];

for (const [what, text] of badV1) {
  Deno.test(`version 1: ${what} is refused, without a byte of it in the message [V12]`, () => {
    const error = assertThrows(() => parseProxyHeader(ascii(text)), Deno.errors.InvalidData, "PROXY protocol header");
    for (const part of ["192", "::", "xxx", "GET"]) assert(!error.message.includes(part), error.message);
  });
}

Deno.test("version 1: a line of 107 bytes is taken [V12]", () => {
  const bytes = ascii(`PROXY UNKNOWN ${"x".repeat(91)}\r\n`);
  assertEquals(bytes.length, 107);
  assertEquals(whole(bytes).source, null);
});

Deno.test("version 2: addresses of each family and transport [V12]", () => {
  const ipv6 = [...new Array(15).fill(0), 1, 0x20, 1, 0x0d, 0xb8, ...new Array(11).fill(0), 2, 0x0f, 0xa0, 0x01, 0xbb];
  const udp = { transport: "udp" } as const;
  const cases: [kind: number, body: number[], source: Deno.Addr | null, destination: Deno.Addr | null][] = [
    [0x11, ipv4, client, front],
    [0x12, ipv4, { ...client, ...udp }, { ...front, ...udp }],
    [0x21, ipv6, at("::1", 4000), at("2001:db8::2", 443)],
    [0x22, ipv6, { ...at("::1", 4000), ...udp }, { ...at("2001:db8::2", 443), ...udp }],
    [0x00, [], null, null],
    [0x10, ipv4, null, null],
    [0x01, [], null, null],
  ];
  const name = (text: string) => [...ascii(text), ...new Array(108 - text.length).fill(0)];
  cases.push([
    0x31,
    [...name("/run/client"), ...name("\0abstract")],
    { transport: "unix", path: "/run/client" },
    { transport: "unix", path: "\0abstract" },
  ]);
  cases.push([
    0x32,
    [...name("x".repeat(108)), ...name("")],
    { transport: "unixpacket", path: "x".repeat(108) },
    { transport: "unixpacket", path: "" },
  ]);
  for (const [kind, body, source, destination] of cases) {
    const bytes = v2(0x21, kind, body);
    assertEquals(whole(bytes), { version: 2, command: "proxy", source, destination, tlvs: {} });
    assertNeverAsksBeyond(bytes);
  }
});

Deno.test("version 2: of LOCAL everything else is ignored [V12]", () => {
  for (const bytes of [encodeV2("local"), v2(0x20, 0xff, [1, 2, 3]), v2(0x20, 0x11, ipv4)]) {
    assertEquals(whole(bytes), { version: 2, command: "local", source: null, destination: null, tlvs: {} });
    assertNeverAsksBeyond(bytes);
  }
});

const badV2: [what: string, bytes: Uint8Array][] = [
  ["a wrong signature", Uint8Array.of(13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 11)],
  ["a wrong signature, seen at its first wrong byte", Uint8Array.of(13, 10, 13, 13)],
  ["version 1 in the format of 2", v2(0x11, 0x11, ipv4)],
  ["version 3", v2(0x31, 0x11, ipv4)],
  ["an unknown command", v2(0x22, 0x11, ipv4)],
  ["an unknown family", v2(0x21, 0x41, ipv4)],
  ["an unknown transport", v2(0x21, 0x13, ipv4)],
  ["a length too short for IPv4", v2(0x21, 0x11, ipv4.slice(1))],
  ["a length too short for IPv6", v2(0x21, 0x21, ipv4)],
  ["a length beyond 16384, before the rest is there", v2(0x21, 0x11, [], 16385)],
  ["a field without its length", v2(0x21, 0x11, [...ipv4, 1, 0])],
  ["a field that is cut", v2(0x21, 0x11, [...ipv4, 1, 0, 2, 104])],
  ["text that is not UTF-8", v2(0x21, 0x11, [...ipv4, 2, 0, 1, 0xff])],
  ["a unique id of 129 bytes", v2(0x21, 0x11, [...ipv4, 5, 0, 129, ...new Array(129).fill(7)])],
  ["a field about TLS that is too short", v2(0x21, 0x11, [...ipv4, 0x20, 0, 4, 1, 0, 0, 0])],
  ["a field about TLS with a cut field", v2(0x21, 0x11, [...ipv4, 0x20, 0, 7, 1, 0, 0, 0, 0, 0x21, 0])],
  ["a name twice", v2(0x21, 0x11, [...ipv4, 2, 0, 1, 97, 2, 0, 1, 98])],
  ["a checksum of 3 bytes", v2(0x21, 0x11, [...ipv4, 3, 0, 3, 1, 2, 3])],
  ["a wrong checksum", v2(0x21, 0x11, [...ipv4, 3, 0, 4, 1, 2, 3, 4])],
];

for (const [what, bytes] of badV2) {
  Deno.test(`version 2: ${what} is refused [V12]`, () => {
    assertThrows(() => parseProxyHeader(bytes), Deno.errors.InvalidData, "PROXY protocol header");
  });
}

Deno.test("version 2: the fields ALPN, authority, unique id, namespace and TLS are decoded, others raw [V12]", () => {
  const tlvs = {
    alpn: "h2",
    authority: "例え.example",
    uniqueId: Uint8Array.of(1, 2, 3),
    netns: "blue",
    ssl: {
      tls: true,
      certificate: true,
      sessionCertificate: false,
      verified: true,
      version: "TLSv1.3",
      commonName: "Ada",
      cipher: "TLS_AES_256_GCM_SHA384",
      signatureAlgorithm: "SHA256",
      keyAlgorithm: "RSA2048",
      others: [{ type: 0x28, value: Uint8Array.of(9) }],
    },
    others: [{ type: 0xea, value: ascii("vpce-1") }, { type: 0xea, value: ascii("") }],
  };
  const bytes = encodeV2({ source: client, destination: front, tlvs });
  assertEquals(whole(bytes).tlvs, tlvs);
  assertNeverAsksBeyond(bytes);
});

Deno.test("version 2: without a certificate nothing was verified, and a refused one was not either [V12]", () => {
  const ssl = (bits: number, result: number) =>
    whole(v2(0x21, 0x11, [...ipv4, 0x20, 0, 5, bits, 0, 0, 0, result])).tlvs.ssl!;
  assertEquals(ssl(1, 0).verified, false);
  assertEquals(ssl(3, 0).verified, true);
  assertEquals(ssl(5, 0).verified, true);
  assertEquals(ssl(3, 1).verified, false);
});

Deno.test("version 2: padding and a right checksum are taken, and are no fields [V12]", () => {
  assertEquals(crc32c(ascii("123456789")), 0xe3069283);
  const bytes = v2(0x21, 0x11, [...ipv4, 4, 0, 2, 1, 1, 3, 0, 4, 0, 0, 0, 0, 1, 0, 2, 104, 50]);
  const place = 16 + ipv4.length + 5 + 3;
  new DataView(bytes.buffer).setUint32(place, crc32c(bytes));
  assertEquals(whole(bytes).tlvs, { alpn: "h2" });
  for (let i = 16; i < bytes.length; i++) {
    if (i >= place - 3 && i < place) continue;
    const damaged = bytes.slice();
    damaged[i]! ^= 0x40;
    assertThrows(() => whole(damaged), Deno.errors.InvalidData);
  }
});

Deno.test("an IPv4 address that is written as IPv6, as beside an IPv6 one, comes back as IPv4 [V12]", () => {
  for (const version of [1, 2] as const) {
    const mixed = whole(encode({ source: at("192.0.2.1", 1), destination: at("::1", 2), version }));
    assertEquals(mixed.source, at("192.0.2.1", 1));
    assertEquals(mixed.destination, at("::1", 2));
    const mapped = whole(encode({ source: at("::ffff:192.0.2.1", 1), destination: at("198.51.100.2", 2), version }));
    assertEquals(mapped.source, at("192.0.2.1", 1));
  }
});

function randomHeader(random: SeededRandom): ProxiedConnection {
  const isIPv4 = random.next() < 0.5;
  const address = () => {
    const bytes = random.fill(new Uint8Array(isIPv4 ? 4 : 16));
    if (isIPv4) return bytes.join(".");
    const sparse = random.next();
    return Array.from({ length: 8 }, (_, i) => (random.next() < sparse ? 0 : bytes[2 * i]! << 8 | bytes[2 * i + 1]!))
      .map((n) => n.toString(16)).join(":");
  };
  const port = () => random.integer(0, 65535);
  const others = Array.from({ length: random.integer(1, 3) }, () => ({
    type: random.integer(0x80, 0xff),
    value: random.fill(new Uint8Array(random.integer(0, 300))),
  }));
  const version = random.next() < 0.5 ? 1 : 2;
  const header = { source: at(address(), port()), destination: at(address(), port()), version } as const;
  return version === 2 ? { ...header, tlvs: { authority: "a.example", others } } : header;
}

Deno.test("fuzz: a header comes back as it was, however it is split, and no byte beyond it is asked for [V12, F1]", () => {
  const random = new SeededRandom(15);
  for (let round = 0; round < 500; round++) {
    const header = randomHeader(random);
    const bytes = encode(header);
    assertNeverAsksBeyond(bytes);
    const { source, destination, tlvs } = whole(bytes);
    const same = (addr: Deno.Addr | null, { hostname, port }: Deno.NetAddr) => {
      const list = new PeerList([hostname]);
      return list.includes(addr!) && (addr as Deno.NetAddr).port === port;
    };
    assert(same(source, header.source) && same(destination, header.destination), `round ${round}`);
    assertEquals(tlvs, header.tlvs ?? {});
  }
});

Deno.test("fuzz: what is damaged is refused as InvalidData, or asks for no more than the limits allow [V12]", () => {
  const random = new SeededRandom(151);
  let refused = 0, taken = 0;
  for (let round = 0; round < 20_000; round++) {
    const bytes = encode(randomHeader(random)).slice();
    for (let i = random.integer(1, 3); i > 0; i--) bytes[random.integer(0, bytes.length - 1)] = random.integer(0, 255);
    try {
      const progress = parseProxyHeader(bytes.subarray(0, random.integer(0, bytes.length)));
      taken++;
      if (!("missing" in progress)) continue;
      assertLessOrEqual(bytes[0] === 0x50 ? progress.missing + 15 : progress.missing, 16 + 16384);
    } catch (error) {
      assert(error instanceof Deno.errors.InvalidData, String(error));
      refused++;
    }
  }
  assert(refused > 1000 && taken > 1000, `${refused} refused, ${taken} taken`);
});

Deno.test("a list of peers has addresses, networks and Unix sockets [V12]", () => {
  const list = new PeerList(["192.0.2.1", "10.0.0.0/8", "172.16.0.0/12", "2001:db8::/33", "::ffff:198.51.100.0/120"]);
  const inside = ["192.0.2.1", "::ffff:192.0.2.1", "10.255.0.1", "172.31.255.255", "2001:db8:7fff::1", "198.51.100.9"];
  const outside = ["192.0.2.2", "11.0.0.1", "172.32.0.0", "2001:db8:8000::1", "198.51.101.0", "::1", "::10.0.0.1"];
  for (const host of inside) assert(list.includes(at(host, 1)), host);
  for (const host of outside) assert(!list.includes(at(host, 1)), host);
  assert(!list.includes({ transport: "unix", path: "" }));
  assert(!list.includes(undefined));
  assert(new PeerList(["unix"]).includes({ transport: "unix", path: "" }));
  assert(new PeerList(["0.0.0.0/0"]).includes(at("203.0.113.9", 1)));
  assert(!new PeerList(["0.0.0.0/0"]).includes(at("::1", 1)));
  for (const good of ["unix", "::/0", "1.2.3.4/32", "::1"]) assert(isPeer(good), good);
  for (
    const bad of [
      "",
      "localhost",
      "1.2.3",
      "1.2.3.4/33",
      "1.2.3.4/-1",
      "1.2.3.4/",
      "1.2.3.4/8/8",
      "::1/129",
      "fe80::1%1",
      "/8",
    ]
  ) assert(!isPeer(bad), bad);
});
