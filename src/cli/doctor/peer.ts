/** Whether a peer can be reached by the protocol: asks it as a first contact does, and drops the session again. */
import { promises as dns } from 'node:dns';
import { isIP } from 'node:net';
import { formatTransportAddress } from '../../core/address.ts';
import type { MobileStream, PlainReason } from '../../l4mob/io/mobile-stream.ts';
import type { Policy } from '../../socket/policy/policy.ts';
import { processEndpoint } from '../../socket/process-endpoint.ts';
import { type Finding, note, ok, problem, within } from './finding.ts';

export interface PeerName {
  readonly host: string;
  readonly port: number;
}

/** Longer than the repetitions of L4_INIT, and a connect over a slow path after them. */
const ANSWER_LIMIT_MS = 10_000;

type Outcome = MobileStream | PlainReason | 'silent';

const WHY_PLAIN: Readonly<Record<PlainReason | 'silent', readonly [seen: string, remedy: string]>> = {
  unaware: [
    'no answer to L4_INIT',
    'is its server run with mobisock, and does UDP get there on the port of the server?',
  ],
  silent: ['no outcome within 10 s', 'is the host up?'],
  'session-port-unreachable': [
    'answers, but its session port can not be reached',
    'there: set MOBISOCK_SESSION_PORT and let that TCP port pass the packet filter',
  ],
  refused: ['answers, and refuses sessions from here', 'there: look at "listeners" and "from" in its policy'],
  'handshake-failed': [
    'answers, but the two could not agree',
    'do both have a suite and a group in common (MOBISOCK_SUITES, MOBISOCK_GROUPS)?',
  ],
  limit: ['not asked: a limit of this process', 'look at "limits" in the policy'],
};

/** One finding for each step that was taken. */
export async function checkPeer({ host, port }: PeerName, policy: Policy): Promise<Finding[]> {
  const addresses = isIP(host) === 0 ? await lookup(host) : [host];
  if (!Array.isArray(addresses)) return [addresses];
  const named: Finding[] = isIP(host) === 0 ? [ok('name', `${host} is ${addresses.join(', ')}`)] : [];
  const [first] = addresses;
  if (first !== undefined && policy.outgoing({ host, address: first, port }) === 'off') {
    named.push(
      note(
        'policy',
        `connections to ${host} port ${port} stay plain`,
        'MOBISOCK_MOBILITY=prefer includes loopback; else see "rules"',
      ),
    );
  }
  const endpoint = processEndpoint(policy);
  const began = performance.now();
  let heard = 0;
  const outcome = await within<Outcome>(ANSWER_LIMIT_MS, 'silent', (found) => {
    endpoint.open(
      { addresses, port, host },
      {
        onOffer: () => {
          heard = performance.now() - began;
        },
        onOpen: found,
        onPlain: found,
      },
    );
  });
  const udp = heard > 0 ? [ok('UDP to peer', `L4_OFFER after ${heard.toFixed(1)} ms`)] : [];
  const session = sessionFinding(outcome, performance.now() - began);
  endpoint.close();
  return [...named, ...udp, session];
}

async function lookup(host: string): Promise<string[] | Finding> {
  try {
    return (await dns.lookup(host, { all: true })).map(({ address }) => address);
  } catch (error) {
    return problem('name', (error as Error).message, 'name a host that has an address');
  }
}

function sessionFinding(outcome: Outcome, tookMs: number): Finding {
  if (typeof outcome === 'string') {
    const [seen, remedy] = WHY_PLAIN[outcome];
    return problem('session', seen, remedy);
  }
  const at = outcome.path === undefined ? '' : ` at ${formatTransportAddress(outcome.path.remote)}`;
  outcome.reset();
  return ok('session', `opened within ${tookMs.toFixed(1)} ms${at}, and dropped`);
}
