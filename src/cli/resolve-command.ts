/**
 * `mobisock resolve`: which unicast address is behind an anycast one, as one line for people or for programs.
 */
import { EmbeddedResolver } from '../aarp/io/embedded-resolver.ts';
import { type Resolution, UnresolvedError } from '../aarp/resolution.ts';
import { AARP_PORT } from '../aarp/wire/aarp.ts';
import { UsageError } from '../core/errors.ts';
import { type Command, readArguments, readCount } from './command.ts';

const HELP = `Usage: mobisock resolve [OPTION]... ADDRESS

Asks which host answers at ADDRESS, by an ICMPv6 Echo Request and an AARP datagram, and prints the unicast address by
which it can be talked with. An address that answers for itself is printed as it is.

  --port N     of the members' AARP service (default: ${AARP_PORT})
  --json       one JSON object instead of a line
  -h, --help   this text

Status 0: resolved. 1: nobody answers, or it can't be asked. 2: the command line is wrong.
`;

export const resolveCommand: Command = {
  summary: 'the unicast address behind an anycast address',
  help: HELP,
  async run(args) {
    const { address, json, port } = readQuestion(args);
    const resolver = new EmbeddedResolver({ port });
    try {
      const { echoFailure } = resolver;
      if (echoFailure !== undefined) process.stderr.write(`mobisock: ${echoFailure.message}\n`);
      const resolution = await resolver.resolve(address);
      process.stdout.write(`${json ? JSON.stringify(resolution) : textOf(resolution)}\n`);
    } catch (error) {
      if (!json || !(error instanceof UnresolvedError)) throw error;
      process.stdout.write(`${JSON.stringify({ address: error.address, kind: 'none', reason: error.reason })}\n`);
      process.exitCode = 1;
    } finally {
      resolver.close();
    }
  },
};

function readQuestion(args: readonly string[]): { address: string; json: boolean; port: number } {
  const known = { options: ['port'], switches: ['json'], words: Number.POSITIVE_INFINITY } as const;
  const { words, options, switches } = readArguments(args, known);
  const [address, ...more] = words;
  if (address === undefined) throw new UsageError('resolve: no address given');
  if (more.length > 0) throw new UsageError(`resolve: one address at a time, found ${words.length}`);
  const port = readCount('port', options.port ?? String(AARP_PORT), 1, 65_535);
  return { address, json: switches.json ?? false, port };
}

function textOf({ unicast, kind, confirmed, ttlMs }: Resolution): string {
  const seconds = Math.round(ttlMs / 1000);
  return `${unicast} (${kind}${confirmed ? '' : ', unconfirmed'}, for ${seconds} s)`;
}
