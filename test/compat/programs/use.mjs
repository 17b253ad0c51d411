// One end of a protocol in use:  node use.mjs PROTOCOL serve   |   node use.mjs PROTOCOL HOST
//
// A client goes on and on, checks every answer, says "going" when it has begun, and "done" with a summary some time
// after it was told "finish". A server tells its counts for each line that it reads.
import { createInterface } from 'node:readline';

const [, , protocol, host] = process.argv;
const { serve, use } = await import(`./protocols/${protocol}.mjs`);
const PORT = 7000;
const ROUNDS = 5;

if (host === 'serve') {
  await serve(PORT);
  console.log('listening');
  // Any line: what has come so far.
  for await (const _ of createInterface({ input: process.stdin })) {
    const { stats, sessions } = await import(process.env.TEST_MOBISOCK);
    console.log(`stats ${JSON.stringify({ ...stats(), rss: process.memoryUsage.rss(), sessions: sessions().length })}`);
  }
} else {
  let finishing = false;
  const input = createInterface({ input: process.stdin });
  input.on('line', () => {
    finishing = true;
  });
  let rounds = 0;
  let roundsLeft = ROUNDS;
  /** After each round, of everything that is used at the same time: whether another one is wanted. */
  const another = () => {
    rounds += 1;
    if (rounds === ROUNDS) console.log('going');
    if (finishing) roundsLeft -= 1;
    return roundsLeft > 0;
  };
  try {
    console.log('done', JSON.stringify(await use(host, PORT, another)));
  } catch (error) {
    console.log('failed', error.stack, error.cause?.stack ?? '');
  }
  process.exit();
}
