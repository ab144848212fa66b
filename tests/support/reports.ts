/** What reaches the exception handler, and what is printed. */
import { type ErrorContext, setExceptionHandler } from "../../src/transport/exception_handler.ts";

/** Returns what reached the exception handler while `test` ran. */
export async function reportsOf(test: () => void | Promise<void>): Promise<ErrorContext[]> {
  const reports: ErrorContext[] = [];
  setExceptionHandler((context) => void reports.push(context));
  try {
    await test();
  } finally {
    setExceptionHandler(null);
  }
  return reports;
}

/** Returns the arguments of each call of `console.error` while `test` ran. */
export async function printedBy(test: () => void | Promise<void>): Promise<unknown[][]> {
  const { error } = console;
  const printed: unknown[][] = [];
  console.error = (...args) => void printed.push(args);
  try {
    await test();
  } finally {
    console.error = error;
  }
  return printed;
}
