/**
 * Names of Unix sockets in the abstract namespace, which only Linux has.
 *
 * @module
 */

/**
 * Tells whether a path is a name in the abstract namespace, which has a leading NUL and no file.
 *
 * @param path The path
 * @returns Whether it is
 * @throws {Deno.errors.NotSupported} If it is, and the platform has no such namespace
 */
export function checkAbstractName(path: string): boolean {
  if (!path.startsWith("\0")) return false;
  if (Deno.build.os === "linux" || Deno.build.os === "android") return true;
  throw new Deno.errors.NotSupported(`there is no abstract namespace on ${Deno.build.os}`);
}
