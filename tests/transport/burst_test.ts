/** Many begin in one go: each once, in order, whatever another does. */
import { assertEquals } from "@std/assert";
import { beginTogether, type Starter } from "../../src/burst.ts";
import { turn } from "./manual_conn.ts";

/** Notes that it begins, and does something else then. */
class Noting implements Starter {
  follower: Starter | null = null;
  constructor(readonly name: string, readonly begun: string[], readonly act: () => void = () => {}) {}

  begin(): void {
    this.begun.push(this.name);
    this.act();
  }
}

Deno.test("beginTogether() begins all in order, a hop later, and each once", async () => {
  const begun: string[] = [];
  const [a, b, c] = ["a", "b", "c"].map((name) => new Noting(name, begun));
  for (const starter of [a!, b!, a!, c!, b!, c!]) beginTogether(starter);
  assertEquals(begun, []);
  await null;
  assertEquals(begun, ["a", "b", "c"]);
  for (const starter of [c!, a!]) beginTogether(starter);
  await null;
  assertEquals(begun, ["a", "b", "c", "c", "a"]);
});

Deno.test("beginTogether() from within a begin comes after those that wait, or a hop later", async () => {
  const begun: string[] = [];
  const late = new Noting("late", begun);
  const first = new Noting("first", begun, () => beginTogether(late));
  const last = new Noting("last", begun);
  beginTogether(first);
  beginTogether(last);
  await turn();
  assertEquals(begun, ["first", "last", "late"]);
  beginTogether(first);
  await turn();
  assertEquals(begun, ["first", "last", "late", "first", "late"]);
});

Deno.test("beginTogether() goes on with the others when one throws", async () => {
  const begun: string[] = [];
  const oops = new Error("oops");
  const errors: unknown[] = [];
  const onError = (event: ErrorEvent) => {
    event.preventDefault();
    errors.push(event.error);
  };
  addEventListener("error", onError);
  beginTogether(
    new Noting("a", begun, () => {
      throw oops;
    }),
  );
  beginTogether(new Noting("b", begun));
  await turn();
  removeEventListener("error", onError);
  assertEquals([begun, errors], [["a", "b"], [oops]]);
});
