// Connects once, and says how long it took and whether it was mobile, as a JSON line. Knows nothing of mobility but
// that its connections may be listed. Ends when it reads something: what it has to tell others is told by then.
//
//   node contact.mjs MOBISOCK HOST PORT
import { connect } from 'node:net';

const [mobisock, host, port] = process.argv.slice(2);
const { sessions } = await import(mobisock);
const startedAt = performance.now();
const socket = connect(Number(port), host, () => {
  const ms = performance.now() - startedAt;
  console.log(JSON.stringify({ event: 'connected', at: Date.now(), ms, mobile: sessions().length > 0 }));
  process.stdin.once('data', () => {
    socket.destroy();
    process.stdin.destroy();
  });
});
