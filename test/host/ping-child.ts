// Pings what it is told, one address after another, and prints what came; run in a namespace.
import { joinAnycast } from '../../src/host/anycast-membership.ts';
import { openPingPort, type PingPort } from '../../src/host/ping-port.ts';

const [kind, join, ...targets] = process.argv.slice(2);
const say = (what: unknown): void => console.log(JSON.stringify(what));
const stay = setInterval(() => {}, 60_000);

try {
  const membership = join === '-' ? undefined : joinAnycast(join ?? '');
  let left = targets.length;
  const done = (what: unknown): void => {
    say(what);
    left -= 1;
    if (left > 0) return;
    port.close();
    membership?.close();
    clearInterval(stay);
  };
  const port: PingPort = openPingPort(
    {
      onReply: (payload, from) => done({ payload: Buffer.from(payload).toString(), from }),
      onUnsendable: (payload, { code }) => done({ payload: Buffer.from(payload).toString(), code }),
    },
    kind === 'any' ? undefined : (kind as PingPort['kind']),
  );
  say({ kind: port.kind });
  for (const [i, target] of targets.entries()) port.send(target, Buffer.from(`payload of ${i}`));
  if (left === 0) done('nothing');
} catch (error) {
  clearInterval(stay);
  const { code, message } = error as NodeJS.ErrnoException;
  say({ code, message });
}
