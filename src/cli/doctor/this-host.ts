/** What mobisock needs of this host, and what it does without. */
import dgram from 'node:dgram';
import net from 'node:net';
import { openAddressWatch } from '../../host/address-watch.ts';
import { libcFailure, loadLibc } from '../../host/libc.ts';
import { type LocalAddress, readLocalAddresses } from '../../host/local-addresses.ts';
import { openPingPort, type PingPort } from '../../host/ping-port.ts';
import { openUdpPort } from '../../host/udp-port.ts';
import { dgramState } from '../../socket/dgram/dgram-internals.ts';
import { socketInternals } from '../../socket/node-internals.ts';
import type { Policy } from '../../socket/policy/policy.ts';
import { type Finding, note, ok, problem, within } from './finding.ts';

/** On this host; a loaded one may take a while. */
const LOCAL_LIMIT_MS = 1_000;
/** RFC 4727, for experiments, on this link. */
const GROUP_IPV6 = 'ff02::114';
const GROUP_IPV4 = '224.0.1.20';

export function checkNode(): Finding {
  const socket = dgram.createSocket('udp4');
  const findings = [internalsOf(socketInternals), internalsOf(() => dgramState(socket))];
  socket.close();
  const missing = findings.find((found) => found !== undefined);
  if (missing === undefined)
    return ok('node', `${process.version}, with the internals that sessions and flows rest on`);
  return problem(
    'node',
    `${process.version}: ${missing}; everything is plain`,
    'use node 20, 22, 24 or 26, without --permission',
  );
}

function internalsOf(look: () => unknown): string | undefined {
  try {
    const found = look();
    return typeof found === 'string' ? found : undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

export function checkLibrary(): Finding {
  if (loadLibc() !== undefined) return ok('C library', 'reached through koffi');
  const seen = `not reached: ${firstLineOf(libcFailure())}`;
  if (process.platform !== 'linux') return note('C library', `${seen}; it is used on Linux only`);
  return note('C library', seen, 'npm install koffi, and run node without --no-addons');
}

/** The first line: what follows in such errors is a stack of requires. */
function firstLineOf(error: unknown): string {
  return String(error).split('\n', 1)[0] ?? '';
}

export function checkAddressWatch(): Finding {
  const watch = openAddressWatch();
  const { backend, wakeup } = watch;
  watch.close();
  const check = 'address changes';
  if (backend === 'polling')
    return note(check, 'looked for every 100 ms: a move pauses that much longer', 'see C library');
  if (wakeup === 'timer') return note(check, 'netlink, read on a timer: a move pauses some milliseconds longer');
  return ok(check, 'told by the kernel (netlink) as they happen');
}

export function checkAddresses(): Finding {
  const addresses = reachable();
  if (addresses.length === 0) return problem('addresses', 'none but loopback', 'connect this host to a network');
  return ok('addresses', addresses.map(({ ip, interfaceName }) => `${ip} (${interfaceName})`).join(', '));
}

function reachable(): LocalAddress[] {
  return readLocalAddresses().filter(({ scope }) => scope !== 'host');
}

export async function checkPing(): Promise<Finding> {
  const check = 'anycast probes';
  let ping: PingPort | undefined;
  try {
    const replied = await within(LOCAL_LIMIT_MS, false, (found) => {
      ping = openPingPort({ onReply: () => found(true), onUnsendable: () => found(false) });
      ping.send('::1', Buffer.from('mobisock doctor'));
    });
    if (ping?.kind === 'program') {
      const seen = 'by the program ping, a process for each: ping sockets are not allowed';
      return note(check, seen, 'sysctl -w net.ipv4.ping_group_range="0 2147483647"');
    }
    if (replied) return ok(check, 'ICMPv6 echo by a ping socket, without privileges');
    return problem(
      check,
      'no reply to an ICMPv6 Echo Request to ::1',
      'let ICMPv6 pass the packet filter; is IPv6 switched off?',
    );
  } catch (error) {
    const seen = `${(error as Error).message}; members with an AARP service are found all the same`;
    return note(check, seen, 'sysctl -w net.ipv4.ping_group_range="0 2147483647", or install ping');
  } finally {
    ping?.close();
  }
}

export async function checkUdp(): Promise<Finding> {
  const arrived = await within(LOCAL_LIMIT_MS, false, (found) => {
    const to = openUdpPort({ address: '127.0.0.1', port: 0, onDatagram: () => ends(true), onError: () => ends(false) });
    const from = openUdpPort({ address: '127.0.0.1', port: 0, onDatagram: () => {} });
    const ends = (value: boolean): void => {
      to.close();
      from.close();
      found(value);
    };
    from.send(Buffer.from([0]), { ip: '127.0.0.1', port: to.port });
  });
  return arrived
    ? ok('UDP', 'datagrams pass on this host')
    : problem('UDP', 'a datagram over loopback did not arrive', 'look at the packet filter (nft list ruleset)');
}

/** The ports that the policy names have to be free when a process wants them. */
export async function checkSessionPorts({ sessionPort }: Policy): Promise<Finding> {
  const check = 'session port';
  if (sessionPort === undefined || sessionPort.last === 0)
    return ok(check, 'any free TCP port: let the packet filter pass them, or set MOBISOCK_SESSION_PORT');
  const { first, last } = sessionPort;
  for (let port = first; port <= last; port++) {
    if (await canListen(port))
      return ok(check, `TCP ${first === last ? first : `${first} to ${last}`}, as the policy says; ${port} is free`);
  }
  const ports = first === last ? `TCP port ${first} is` : `TCP ports ${first} to ${last} are all`;
  return problem(
    check,
    `${ports} taken by other programs`,
    'set MOBISOCK_SESSION_PORT to a port, or more of them, that are free',
  );
}

function canListen(port: number): Promise<boolean> {
  const server = net.createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, () => server.close(() => resolve(true)));
  });
}

/** Whether groups can be joined and heard on each interface: the updater and the groups live on it. */
export async function checkMulticast(): Promise<Finding> {
  const check = 'multicast';
  const interfaces = new Map(reachable().map((address) => [`${address.interfaceName} ${familyOf(address)}`, address]));
  if (interfaces.size === 0) return note(check, 'no interface but loopback');
  const results = await Promise.all([...interfaces.values()].map(async (on) => ({ on, failure: await hearOwn(on) })));
  const deaf = results.filter(({ failure }) => failure !== undefined);
  const names = (list: typeof results): string =>
    list.map(({ on }) => `${on.interfaceName} (IPv${familyOf(on)})`).join(', ');
  if (deaf.length === 0) return ok(check, `groups can be joined and heard on ${names(results)}`);
  const seen = `not on ${names(deaf)}: ${deaf[0]?.failure}`;
  return note(
    check,
    seen,
    `is the interface made for it (ip link set DEV multicast on), and UDP to ${GROUP_IPV6} let in?`,
  );
}

function familyOf({ ip }: LocalAddress): 4 | 6 {
  return ip.includes(':') ? 6 : 4;
}

/** Why a datagram to a group, sent out of an interface and looped back, was not heard; undefined where it was. */
function hearOwn(on: LocalAddress): Promise<string | undefined> {
  const [type, group, place] =
    familyOf(on) === 6
      ? (['udp6', GROUP_IPV6, `::%${on.interfaceName}`] as const)
      : (['udp4', GROUP_IPV4, on.ip] as const);
  return within<string | undefined>(LOCAL_LIMIT_MS, 'joined, but nothing was heard', (found) => {
    const socket = dgram.createSocket(type);
    const ends = (failure: string | undefined): void => {
      socket.removeAllListeners();
      socket.close();
      found(failure);
    };
    socket.once('error', (error) => ends(error.message));
    socket.once('message', () => ends(undefined));
    socket.bind(0, () => {
      try {
        socket.addMembership(group, place);
        socket.setMulticastInterface(place);
        socket.send('mobisock doctor', socket.address().port, group);
      } catch (error) {
        ends((error as Error).message);
      }
    });
    socket.unref();
  });
}
