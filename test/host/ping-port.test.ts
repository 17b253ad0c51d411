/** Echo requests and anycast membership, on real kernels in a namespace. */
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Namespace, namespacesAvailable } from './namespace.ts';

const CHILD = join(import.meta.dirname, 'ping-child.ts');
const NO_RIGHTS = ['setpriv', '--bounding-set', '-all', '--inh-caps', '-all', '--'];
const ANYCAST = 'fd00::53';

let namespace: Namespace;

/** What it printed, a line each. */
async function ping(args: readonly string[], before: readonly string[] = [], path?: string): Promise<unknown[]> {
  const env = path === undefined ? [] : ['env', `PATH=${path}`];
  const argv = [...before, ...env, process.execPath, '--import', 'tsx', CHILD, ...args];
  const child = namespace.spawn(argv[0] as string, argv.slice(1));
  let output = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  await once(child, 'close');
  return output
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

describe.skipIf(!namespacesAvailable)('a ping port', () => {
  beforeAll(async () => {
    namespace = await Namespace.create();
    namespace.ip('link add v0 type veth peer name v1');
    for (const name of ['lo', 'v0', 'v1']) namespace.ip(`link set ${name} up`);
    namespace.ip('addr add fd00::1/64 dev v0 nodad');
  });
  afterAll(() => namespace.close());

  describe.each(['socket', 'program'] as const)('by a %s', (kind) => {
    beforeAll(() => namespace.sysctl('net.ipv4.ping_group_range=0 0'));

    it('tells who replied, and with which payload', async () => {
      const [first, ...replies] = await ping([kind, '-', '::1', 'fd00::1']);
      expect(first).toEqual({ kind });
      // The programs run side by side.
      expect(new Set(replies)).toEqual(
        new Set(['::1', 'fd00::1'].map((from, i) => ({ payload: `payload of ${i}`, from }))),
      );
    });

    it('tells what could not be sent', async () => {
      const [, outcome] = await ping([kind, '-', '2001:db8::1']);
      expect(outcome).toMatchObject({ payload: 'payload of 0', code: expect.stringMatching(/^E(?:NET|HOST)UNREACH$/) });
    });

    it('tells the unicast address of whoever replies for an anycast one', async () => {
      expect(await ping([kind, `${ANYCAST}%v0`, ANYCAST])).toEqual([
        { kind },
        { payload: 'payload of 0', from: 'fd00::1' },
      ]);
    });
  });

  it('is a program where this group may have no ping socket, and an error where there is none either', async () => {
    namespace.sysctl('net.ipv4.ping_group_range=1 0');
    expect(await ping(['any', '-', '::1'])).toEqual([{ kind: 'program' }, { payload: 'payload of 0', from: '::1' }]);
    const [refusal] = await ping(['any', '-', '::1'], [], '/nowhere');
    expect(refusal).toMatchObject({
      code: 'ERR_MOBISOCK_ENVIRONMENT',
      message: expect.stringMatching(/no ping socket, socket EACCES.*ping_group_range.*no program "ping" in PATH/),
    });
  });
});

describe.skipIf(!namespacesAvailable)('an anycast membership', () => {
  beforeAll(async () => {
    namespace = await Namespace.create();
    namespace.ip('link add v0 type veth peer name v1');
    for (const name of ['lo', 'v0', 'v1']) namespace.ip(`link set ${name} up`);
    namespace.ip('addr add fd00::1/64 dev v0 nodad');
  });
  afterAll(() => namespace.close());

  it.each([
    ['without the privilege', `${ANYCAST}%v0`, NO_RIGHTS, /takes root or CAP_NET_ADMIN \(setsockopt EPERM\)/],
    ['on an interface that is not there', `${ANYCAST}%v9`, [], /no interface "v9"/],
    ['in no prefix of the interface', '2001:db8::53%v0', [], /no prefix of that interface/],
    ['in the name of a unicast address', 'fd00::1%v0', [], /it is a unicast address of this host/],
  ])('is refused %s, and says why', async (_, address, before, why) => {
    const [outcome] = await ping(['any', address], before);
    expect(outcome).toMatchObject({
      code: 'ERR_MOBISOCK_ENVIRONMENT',
      message: expect.stringMatching(why),
    });
  });
});
