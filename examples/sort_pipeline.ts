/**
 * A pipeline of processes: counts the words of a text, as the shell does with `sort | uniq -c | sort -rn`.
 *
 *     deno run --allow-run=sort,uniq --allow-read examples/sort_pipeline.ts [file]
 *
 * The text is that of the file, or one that is built in. It ends by itself. All stages run at the same time, and a slow
 * stage slows down those before it, back to the reading of the file.
 */
import {
  connectReadPipe,
  createSubprocessExec,
  type Process,
  StreamReader,
  StreamReaderProtocol,
  type StreamWriter,
} from "@tideline/net";

const TEXT = "the sooner you start the sooner you are done\nthe longer you wait the later\n";

async function open(file: string | undefined): Promise<StreamReader> {
  const reader = new StreamReader();
  if (file === undefined) {
    reader.feedData(new TextEncoder().encode(TEXT));
    reader.feedEof();
  } else {
    await connectReadPipe(() => new StreamReaderProtocol(reader), await Deno.open(file));
  }
  return reader;
}

async function sendWords(reader: StreamReader, writer: StreamWriter): Promise<void> {
  for await (const line of reader.lines()) {
    writer.writelines(line.split(/\W+/).filter((word) => word !== "").map((word) => `${word.toLowerCase()}\n`));
    await writer.drain();
  }
  writer.close();
}

function start(program: string, ...args: string[]): Promise<Process> {
  // The same order of words in every locale.
  return createSubprocessExec(program, args, { stdin: "piped", stdout: "piped", env: { LC_ALL: "C" } });
}

const text = await open(Deno.args[0]);
const sort = await start("sort");
const count = await start("uniq", "-c");
const rank = await start("sort", "-k1,1nr", "-k2");

const flows = [
  sendWords(text, sort.stdin!),
  sort.stdout!.readable.pipeTo(count.stdin!.writable),
  count.stdout!.readable.pipeTo(rank.stdin!.writable),
];
for await (const line of rank.stdout!.lines()) {
  const [number, word] = line.trim().split(" ");
  console.log(`${word}: ${number}`);
}
await Promise.all(flows);
const returncodes = await Promise.all([sort, count, rank].map((process) => process.wait()));
if (returncodes.some((returncode) => returncode !== 0)) Deno.exit(1);
