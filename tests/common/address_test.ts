/** The one test for IP literals. */
import { assertEquals } from "@std/assert";
import { ipBytes, ipVersion, showAddress, showIp, withoutBrackets } from "../../src/common/address.ts";

Deno.test("ipVersion() tells IP literals from names", () => {
  const cases: Record<string, 4 | 6 | null> = {
    "127.0.0.1": 4,
    "0.0.0.0": 4,
    "255.255.255.255": 4,
    "256.0.0.1": null,
    "1.2.3": null,
    "1.2.3.4.5": null,
    "01.2.3.4": null,
    "1.2.3.4\n": null,
    "::": 6,
    "::1": 6,
    "FE80::1": 6,
    "fe80::1%eth0": 6,
    "fe80::1%": null,
    "::ffff:127.0.0.1": 6,
    "1:2:3:4:5:6:7:8": 6,
    "1:2:3:4:5:6:7": null,
    "1:2:3:4:5:6:7:8:9": null,
    "::g": null,
    "[::1]": null,
    "::1]/x": null,
    ":": null,
    "localhost": null,
    "localhost:80": null,
    "a.b.c.d": null,
    "": null,
  };
  for (const [host, version] of Object.entries(cases)) assertEquals(ipVersion(host), version, host);
});

Deno.test("withoutBrackets() removes the brackets of an IPv6 address", () => {
  assertEquals(withoutBrackets("[::1]"), "::1");
  assertEquals(withoutBrackets("::1"), "::1");
  assertEquals(withoutBrackets("localhost"), "localhost");
});

Deno.test("showAddress() shows every kind of address", () => {
  assertEquals(showAddress({ transport: "tcp", hostname: "127.0.0.1", port: 80 }), "127.0.0.1:80");
  assertEquals(showAddress({ transport: "udp", hostname: "::1", port: 80 }), "[::1]:80");
  assertEquals(showAddress({ transport: "unix", path: "/tmp/s" }), '"/tmp/s"');
  assertEquals(showAddress({ transport: "unix", path: "" }), "a Unix socket");
  assertEquals(showAddress({ transport: "tcp", hostname: "x".repeat(1000), port: 80 }).length, 103);
});

Deno.test("ipBytes() and showIp() are each other's inverse; an IPv4 address written as IPv6 has 4 bytes", () => {
  const cases: [text: string, shown: string, length: number][] = [
    ["192.0.2.1", "192.0.2.1", 4],
    ["::ffff:192.0.2.1", "192.0.2.1", 4],
    ["::ffff:c000:201", "192.0.2.1", 4],
    ["::192.0.2.1", "::c000:201", 16],
    ["::", "::", 16],
    ["1::", "1::", 16],
    ["2001:0DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1", 16],
    ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8", 16],
    ["fe80::1%eth0", "fe80::1", 16],
  ];
  for (const [text, shown, length] of cases) {
    const bytes = ipBytes(text)!;
    assertEquals([bytes.length, showIp(bytes)], [length, shown], text);
  }
  for (const text of ["localhost", "", "1.2.3", "::1::", "[::1]"]) assertEquals(ipBytes(text), null, text);
});
