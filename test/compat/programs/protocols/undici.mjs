// undici's Agent: several requests at the same time over one connection, or one after the other.
import { Agent, request } from 'undici';
import { check, pause } from './check.mjs';

export { serve } from './http.mjs';

const pipelining = Number(process.env.TEST_PIPELINING ?? 1);

export const use = (host, port, another) => useWith(new Agent({ connections: 1, pipelining }), host, port, another);

export async function useWith(dispatcher, host, port, another, scheme = 'http') {
  let connections = 0;
  dispatcher.on('connect', () => {
    connections += 1;
  });
  let round = 0;
  do {
    await Promise.all(
      Array.from({ length: 4 }, async (_, i) => {
        // Only a request that may be repeated is pipelined.
        const { body } = await request(`${scheme}://${host}:${port}/${round}/${i}`, { dispatcher });
        check(await body.text(), `/${round}/${i} `, 'answer');
      }),
    );
    round += 1;
    await pause(5);
  } while (another());
  await dispatcher.close();
  return { connections };
}
