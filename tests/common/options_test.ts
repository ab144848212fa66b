/** The checks of options, and what their messages say. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { aBoolean, anAddress, aPort, aString, type Check, checkOptions } from "../../src/common/options.ts";
import { hostileValues } from "../support/hostile_values.ts";

const checks: Record<string, Check> = {
  hostname: aString,
  port: aPort,
  timeout: aPort,
  noDelay: aBoolean,
  localAddr: anAddress,
  caCerts: aString,
  serverName: aString,
  signal: aBoolean,
};

/** The message of what is refused. */
function refusal(options: unknown): string {
  return assertThrows(() => checkOptions("connect", options, checks), Error).message;
}

Deno.test("checkOptions() takes undefined for an option that is left out", () => {
  checkOptions("connect", Object.fromEntries(Object.keys(checks).map((name) => [name, undefined])), checks);
});

Deno.test("checkOptions() says which name a misspelt option may have meant", () => {
  const slips = {
    host: "hostname",
    hostName: "hostname",
    hostnam: "hostname",
    address: "hostname",
    timout: "timeout",
    tiemout: "timeout",
    time_out: "timeout",
    Port: "port",
    prot: "port",
    ca: "caCerts",
    caCert: "caCerts",
    servername: "serverName",
    server_name: "serverName",
    server_hostname: "serverName",
    nodelay: "noDelay",
    local_addr: "localAddr",
    signa: "signal",
  };
  for (const [slip, meant] of Object.entries(slips)) {
    assertEquals(
      refusal({ [slip]: 1 }),
      `Cannot connect: there is no option "${slip}"; did you mean "${meant}"?`,
    );
  }
});

Deno.test("checkOptions() suggests nothing for another word", () => {
  for (const name of ["bogus", "x", "", "family", "toString", "ort2s", "x".repeat(10_000)]) {
    const message = refusal({ [name]: 1 });
    assert(message.startsWith("Cannot connect: there is no option ") && message.endsWith('"'), message);
    assert(message.length < 200, message);
  }
  // A suggestion is an option of this call, not of another.
  assertEquals(refusal({ ssl: true }), 'Cannot connect: there is no option "ssl"');
});

Deno.test("checkOptions() shows strings in quotes, numbers bare, and of objects only their kind", () => {
  assertEquals(refusal({ port: "80" }), 'Cannot connect: port must be a number, not "80"');
  assertEquals(refusal({ port: 65536 }), "Cannot connect: port must be from 0 to 65535, not 65536");
  assertEquals(refusal({ noDelay: { secret: 1 } }), "Cannot connect: noDelay must be a boolean, not an object");
  assertEquals(refusal(null), "Cannot connect: the options must be an object, not null");
  assertEquals(refusal("x:80"), 'Cannot connect: the options must be an object, not "x:80"');
  assertEquals(
    refusal({ localAddr: { hostname: "localhost" } }),
    'Cannot connect: localAddr must have an IP address as hostname, not "localhost"',
  );
  assertEquals(
    refusal({ localAddr: { port: 70000 } }),
    "Cannot connect: localAddr must have a port from 0 to 65535, not 70000",
  );
  assertEquals(
    refusal({ localAddr: { prot: 7 } }),
    'Cannot connect: localAddr must have a hostname and a port only, not "prot"',
  );
});

Deno.test("checkOptions() refuses hostile values with a short message", () => {
  for (const [name, value] of hostileValues()) {
    if (value === undefined) continue;
    const message = refusal({ signal: value === false ? 0 : value });
    assert(message.startsWith("Cannot connect: signal must be a boolean, not "), `${name}: ${message}`);
    assert(message.length < 200, name);
  }
});
