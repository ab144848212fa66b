/**
 * What this machine has. A test that needs more is skipped, and a line that begins with "skipped: " says so: the test
 * runner repeats these lines in its summary.
 */

/** Prints that something is skipped, and why. */
export function skip(what: string, why: string): void {
  console.warn(`skipped: ${what}, as ${why}`);
}

/** Returns where a program is, or null, and then says what is skipped. */
export async function findProgram(name: string, skipped = `the tests against ${name}`): Promise<string | null> {
  for (const directory of (Deno.env.get("PATH") ?? "").split(":")) {
    const path = `${directory}/${name}`;
    const info = await Deno.stat(path).catch(() => null);
    if (info?.isFile) return path;
  }
  skip(skipped, `there is no ${name} here`);
  return null;
}

/** Tells whether a program is here; if not, says what is skipped. */
export async function hasProgram(name: string, skipped?: string): Promise<boolean> {
  return await findProgram(name, skipped) !== null;
}

/** Whether this machine has the IPv6 loopback. */
export const hasIpv6: boolean = (() => {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch {
    skip("the tests over IPv6", "this machine has no ::1");
    return false;
  }
})();

/** Tells whether a refusal of a datagram can be seen here; if not, says so. */
export function seesRefusals(): boolean {
  if (Deno.build.os === "linux" && Deno.permissions.querySync({ name: "ffi" }).state === "granted") return true;
  skip("the tests of refused datagrams", "they are known on Linux with --allow-ffi only");
  return false;
}

/** Returns how many descriptors this process has open. */
export function openDescriptors(): number {
  return [...Deno.readDirSync("/dev/fd")].length;
}
