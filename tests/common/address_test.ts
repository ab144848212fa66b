/** The one test for IP literals. */
import { assertEquals } from "@std/assert";
import { ipVersion, showAddress, withoutBrackets } from "../../src/common/address.ts";

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
