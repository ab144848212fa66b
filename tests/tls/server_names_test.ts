import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import type { TlsIdentity, TlsServerOptions } from "../../src/tls/choose.ts";
import { ServerNames } from "../../src/tls/server_names.ts";
import { ignore, theCerts } from "../support/certificates.ts";
import { attempt, failureOf, secure, ways } from "../support/tls_ways.ts";

type Choose = (name: string) => TlsIdentity | undefined | Promise<TlsIdentity | undefined>;

/** The ways whose server can choose. */
const choosing = Object.entries(ways).filter(([name]) => name.includes("to node"));

function namesOf(serverNames: Choose): ServerNames {
  return ServerNames.of({ ...theCerts().server, serverNames })!;
}

for (const [way, make] of choosing) {
  for (const isAsync of [false, true]) {
    const kind = isAsync ? "a promise" : "a value";
    Deno.test(
      { name: `TLS ${way}: serverNames() that answers with ${kind} chooses the certificate`, ignore },
      async () => {
        const asked: string[] = [];
        const serverNames: Choose = (name) => {
          asked.push(name);
          const found = name === "other.example" ? theCerts().other : undefined;
          return isAsync ? new Promise((resolve) => setTimeout(resolve, 5, found)) : found;
        };
        for (const serverName of ["Other.example", "localhost", "127.0.0.1"]) {
          const { client, server } = await secure(make, { serverName }, { serverNames });
          client.conn.close();
          server.conn.close();
        }
        // A client that asks for an address asks for no name.
        assertEquals(asked, ["other.example", "localhost"]);
      },
    );
  }

  for (
    const [what, answer] of Object.entries<Choose>({
      "throws": () => {
        throw new Error("the disk is gone");
      },
      "throws a symbol": () => {
        throw Symbol("the disk is gone");
      },
      "rejects": () => Promise.reject(new Error("the disk is gone")),
      "answers with nonsense": () => 7 as unknown as TlsIdentity,
      "answers with a key of another certificate": () => ({ cert: theCerts().other.cert, key: theCerts().server.key }),
    })
  ) {
    Deno.test(
      { name: `TLS ${way}: serverNames() that ${what} ends that handshake alone [C11, T2]`, ignore },
      async () => {
        let isBad = true;
        const options: Partial<TlsServerOptions> = {
          serverNames: (name) => isBad ? answer(name) : undefined,
        };
        const { client, server } = await attempt(make, {}, options);
        const error = failureOf(server);
        assertInstanceOf(error, Error);
        assert(error.message.startsWith("Cannot "), error.message);
        if (what !== "answers with nonsense" && !what.includes("key")) {
          assertStringIncludes(error.message, `serverNames() failed for "localhost": `);
          if (what !== "throws a symbol") assertStringIncludes(error.message, "the disk is gone");
        }
        assert(!error.message.includes("PRIVATE"));
        assertInstanceOf(failureOf(client), Error);
        isBad = false;
        const good = await secure(make, {}, options);
        good.client.conn.close();
        good.server.conn.close();
      },
    );
  }
}

Deno.test(
  { name: "ServerNames asks once for a name, and again after a failure or for an unknown one [C11]", ignore },
  async () => {
    const asked: string[] = [];
    const names = namesOf((name) => {
      asked.push(name);
      if (name === "bad" && asked.length === 2) return Promise.reject(new Error("not now"));
      return name === "unknown" ? undefined : theCerts().other;
    });
    const both = await Promise.all([names.find("a"), names.find("A")]);
    assertEquals(both, [theCerts().other, theCerts().other]);
    await names.find("a");
    await Promise.resolve(names.find("bad")).catch(() => {});
    await names.find("bad");
    await names.find("unknown");
    await names.find("unknown");
    assertEquals(asked, ["a", "bad", "bad", "unknown", "unknown"]);
  },
);

Deno.test({ name: "ServerNames remembers a bounded number of names, those asked for last [M4]", ignore }, async () => {
  const asked: string[] = [];
  // One object: its certificate is parsed for each name, which takes long.
  const names = namesOf((name) => {
    asked.push(name);
    return theCerts().other;
  });
  await names.find("honest");
  for (let i = 0; i < 1500; i++) {
    await names.find(`hostile-${i}`);
    if (i % 500 === 0) await names.find("honest");
  }
  assertEquals(asked.length, 1501);
  await names.find("hostile-1499");
  await names.find("honest");
  assertEquals(asked.length, 1501);
  await names.find("hostile-0");
  assertEquals(asked.length, 1502);
});

Deno.test({ name: "ServerNames belong to one set of options: another one asks anew", ignore }, async () => {
  let asked = 0;
  const serverNames = () => {
    asked++;
    return theCerts().other;
  };
  const options = { ...theCerts().server, serverNames };
  await ServerNames.of(options)!.find("a");
  await ServerNames.of(options)!.find("a");
  await ServerNames.of({ ...options })!.find("a");
  assertEquals(asked, 2);
});
