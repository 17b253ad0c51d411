/** Whether aarpd answers where the policy looks for it. */
import { Socket } from 'node:net';
import { formatRequest, MAX_LINE_BYTES, PROTOCOL_VERSION, parseReply } from '../../aarp/daemon/daemon-protocol.ts';
import { WireError } from '../../core/errors.ts';
import type { Policy } from '../../socket/policy/policy.ts';
import { type Finding, note, ok, problem, within } from './finding.ts';

/** It answers within microseconds, if it lives. */
const ANSWER_LIMIT_MS = 1_000;
const NOBODY: ReadonlySet<string | undefined> = new Set(['ENOENT', 'ECONNREFUSED']);

export async function checkDaemon({ aarpd: path }: Policy): Promise<Finding> {
  const check = 'aarpd';
  if (path === undefined) return ok(check, 'not asked (MOBISOCK_AARPD=off): each process resolves for itself');
  const [line, error] = await askHello(path);
  if (error !== undefined) {
    if (NOBODY.has(error.code)) return ok(check, `not running at ${path}: each process resolves for itself`);
    return note(check, `${path}: ${error.message}`, `may this user connect to it? (ls -l ${path})`);
  }
  if (line === undefined) return problem(check, `${path}: no answer within ${ANSWER_LIMIT_MS} ms`, 'restart it');
  if (isWelcome(line)) return ok(check, `answers at ${path}`);
  return problem(check, `${path}: answers "${line}"`, 'have it and mobisock of the same version');
}

function isWelcome(line: string): boolean {
  try {
    return parseReply(line).kind === 'ok';
  } catch (error) {
    if (error instanceof WireError) return false;
    throw error;
  }
}

/** The first line of the answer, or why there is none. */
function askHello(path: string): Promise<[line: string | undefined, error?: NodeJS.ErrnoException]> {
  const socket = new Socket();
  const hello = formatRequest({ id: '1', verb: 'hello', version: PROTOCOL_VERSION });
  return within<[string | undefined, NodeJS.ErrnoException?]>(ANSWER_LIMIT_MS, [undefined], (found) => {
    let text = '';
    socket.setEncoding('latin1').on('data', (piece) => {
      text += piece;
      const end = text.length > MAX_LINE_BYTES ? MAX_LINE_BYTES : text.indexOf('\n');
      if (end >= 0) found([text.slice(0, end)]);
    });
    socket.once('error', (error) => found([undefined, error]));
    socket.connect({ path }, () => socket.write(hello));
  }).finally(() => socket.destroy());
}
