// What a handshake leaves behind when it fails: nothing, or a peer that sends garbage could make a server keep much.
import { assertEquals } from "@std/assert";
import { runProgram } from "../support/programs.ts";

Deno.test("TLS by node: of a handshake that failed nothing is kept [M4, T2]", async () => {
  const { stdout, stderr } = await runProgram(
    `
    import { connPair } from "@tideline/net";
    import { selfSignedCertificate } from "${new URL("../../src/testing/mod.ts", import.meta.url)}";
    import { tlsAcceptConn } from "${new URL("../../src/tls/choose.ts", import.meta.url)}";

    const { cert, key } = await selfSignedCertificate();
    const kept = [];
    for (let i = 0; i < 20; i++) {
      const [conn, peer] = connPair();
      kept.push(new WeakRef(conn));
      const failing = tlsAcceptConn(conn, { cert, key });
      await peer.write(new Uint8Array(100));
      await failing.catch(() => {});
      peer.close();
    }
    for (let i = 0; i < 3; i++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      gc();
    }
    // The last ones may still be on the stack.
    console.log(kept.filter((ref) => ref.deref() !== undefined).length < 5);`,
    { permissions: ["-A", "--v8-flags=--expose-gc"] },
  );
  assertEquals({ stdout, stderr }, { stdout: "true\n", stderr: "" });
});
