/** What reaches the exception handler. */
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
