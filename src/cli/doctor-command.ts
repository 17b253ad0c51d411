/**
 * `mobisock doctor`: what works here, what does not, and what would help.
 */
import { UsageError } from '../core/errors.ts';
import { parseHostPort } from '../core/host-port.ts';
import { loadPolicy } from '../socket/policy/load-policy.ts';
import { Policy } from '../socket/policy/policy.ts';
import { type Command, readArguments } from './command.ts';
import { checkDaemon } from './doctor/daemon.ts';
import { checkExposed } from './doctor/exposed.ts';
import { type Finding, findingText, ok, problem } from './doctor/finding.ts';
import { checkPeer, type PeerName } from './doctor/peer.ts';
import {
  checkAddresses,
  checkAddressWatch,
  checkLibrary,
  checkMulticast,
  checkNode,
  checkPing,
  checkSessionPorts,
  checkUdp,
} from './doctor/this-host.ts';

const HELP = `Usage: mobisock doctor [OPTION]...

Looks at what mobisock needs: node's internals, the C library, word of address changes, ICMPv6 echo, UDP, the session
port, aarpd, multicast, and what processes that run with it let in. Each line says ok, note (works, but could work better) or
problem, and below it what would help. The policy is that of the environment, as for a program started here.

  --peer HOST:PORT   asks the server there too, as a first contact does: UDP, then its session port. The program there
                     sees a connection that is reset.
  --json             one JSON array instead of lines
  -h, --help         this text

Status 0: no problem. 1: at least one. 2: the command line is wrong.
`;

export const doctorCommand: Command = {
  summary: 'what works on this host, what does not, and what would help',
  help: HELP,
  async run(args) {
    const { options, switches } = readArguments(args, { options: ['peer'], switches: ['json'], words: 0 });
    const peer = options.peer === undefined ? undefined : readPeer(options.peer);
    const json = switches.json === true;
    const findings: Finding[] = [];
    for await (const finding of examine(peer)) {
      findings.push(finding);
      if (!json) process.stdout.write(`${findingText(finding)}\n`);
    }
    if (json) process.stdout.write(`${JSON.stringify(findings, undefined, 2)}\n`);
    if (findings.some(({ state }) => state === 'problem')) process.exitCode = 1;
  },
};

async function* examine(peer: PeerName | undefined): AsyncGenerator<Finding> {
  const [policy, finding] = readPolicy();
  yield finding;
  for (const check of [checkNode, checkLibrary, checkAddressWatch, checkAddresses, checkPing, checkUdp])
    yield await check();
  yield await checkSessionPorts(policy);
  yield await checkDaemon(policy);
  yield await checkMulticast();
  yield checkExposed();
  if (peer !== undefined) yield* await checkPeer(peer, policy);
}

function readPolicy(): [Policy, Finding] {
  try {
    const policy = loadPolicy(process.env);
    return [policy, ok('policy', policy.enabled ? `mobility ${policy.mobility}` : 'switched off (MOBISOCK=off)')];
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return [new Policy(), problem('policy', error.message, 'see docs/policy.md')];
  }
}

function readPeer(text: string): PeerName {
  const { host, port = 0 } = parseHostPort(text) ?? {};
  if (host !== undefined && port > 0) return { host, port };
  throw new UsageError(
    `--peer: found "${text}", expected a host and a port such as example.org:443 or [2001:db8::1]:443`,
  );
}
