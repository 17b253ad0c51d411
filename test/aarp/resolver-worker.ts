// Two workers of a cluster resolve at the same time, over sockets of their own, and print what came out.
import cluster from 'node:cluster';
import { openAnycastMember } from '../../src/aarp/io/anycast-member.ts';
import { EmbeddedResolver } from '../../src/aarp/io/embedded-resolver.ts';

if (cluster.isPrimary) {
  const serves = ['127.0.0.53'];
  const member = await openAnycastMember({ serves, unicast: ['127.0.0.1'], address: '0.0.0.0', port: 0 });
  let running = 2;
  for (let i = 0; i < 2; i++) {
    cluster.fork({ AARP_PORT: String(member.address.port) }).on('exit', () => {
      running -= 1;
      if (running === 0) member.close();
    });
  }
} else {
  const resolver = new EmbeddedResolver({ port: Number(process.env.AARP_PORT), ping: 'socket' });
  const found = await Promise.all(['127.0.0.53', '::1'].map((address) => resolver.resolve(address)));
  const { strays } = resolver.counters();
  console.log(JSON.stringify([...found.map(({ unicast }) => unicast), strays, resolver.echoFailure?.message]));
  resolver.close();
  cluster.worker?.disconnect();
}
