/**
 * `mobisock addrsel`: shows, explains and changes the tables by which addresses are chosen.
 */
import { UsageError } from '../core/errors.ts';
import { explain } from './addrsel-explain.ts';
import { set } from './addrsel-set.ts';
import { diff, show } from './addrsel-show.ts';
import type { Command } from './command.ts';

const HELP = `Usage: mobisock addrsel show [TABLE] [--format text|json|gai.conf|ip]
       mobisock addrsel diff [TABLE]...
       mobisock addrsel explain HOST... [--table TABLE] [--rules system|rfc6724]
       mobisock addrsel set PREFIX [--label N] [--precedence N] [--interface NAME] [--remove] (--kernel | --file FILE)

Which address is a connection made to, and from which one? RFC 6724 has rules for both, over a table of prefixes that
have labels and precedences.

A TABLE is
  rfc6724   the table of RFC 6724
  kernel    the kernel's labels, by which Linux chooses source addresses; it has no precedences
  glibc     /etc/gai.conf or glibc's own table, by which getaddrinfo orders destinations
  FILE      a path with "/" or "." in it: JSON where it ends in .json, otherwise in the form of gai.conf

show        prints the kernel's and glibc's tables, or the one named; as text, as a file (json, gai.conf), or as
            commands that give the kernel the same labels (ip)
diff        prints the prefixes on which tables differ; rfc6724, kernel and glibc where fewer than two are named
explain     prints the addresses of a host, or the addresses given, in the order in which they are tried, with the
            source of each and the rules that decided
  --table TABLE    as if this table were in force (default: the kernel's for sources, glibc's for destinations)
  --rules RULES    system: as Linux and glibc apply the rules (the default); rfc6724: as RFC 6724 has them
set         gives a prefix a label or a precedence, or takes its entry away
  --label N        0 to 4294967294; addresses go together whose labels are the same
  --precedence N   0 to 2147483647; higher is preferred
  --interface NAME for this interface only
  --remove         takes the entry away
  --kernel         in the kernel's table, until the next boot: labels only; needs root (CAP_NET_ADMIN)
  --file FILE      in a file, which is made where it is missing

  -h, --help       this text
`;

const ACTIONS: Readonly<Record<string, (args: readonly string[]) => Promise<void>>> = { show, diff, explain, set };

export const addrselCommand: Command = {
  summary: 'which addresses connections are made to and from, and why',
  help: HELP,
  async run([action = '', ...args]) {
    const run = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
    if (run === undefined) {
      throw new UsageError(`addrsel: found "${action}", expected one of ${Object.keys(ACTIONS).join(', ')}`);
    }
    await run(args);
  },
};
