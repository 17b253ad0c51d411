/** What a program reports of itself: one JSON object a line. */
import type { Program } from '../../test/lab/index.ts';

/** Gives each report to `take` until the program has ended; then tells how it ended. */
export async function followReports<Report>(program: Program, take: (report: Report) => void): Promise<string> {
  try {
    for (;;) {
      const [line] = await program.line(/^\{.*\}$/, { timeoutMs: 24 * 3600 * 1000 });
      take(JSON.parse(line) as Report);
    }
  } catch {
    // No further line: the program has ended, and its exit says how.
  }
  const { code, signal } = await program.exit;
  return `ended with ${signal ?? `exit code ${code}`}`;
}
