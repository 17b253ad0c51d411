// mobisock/undici without the preload, over TLS.
import { useWith } from './undici.mjs';

export { serve } from './https.mjs';

const { TEST_CERTIFICATE: ca, TEST_NAME: name } = process.env;

export async function use(address, port, another) {
  const { MobileAgent } = await import(new URL('undici.js', process.env.TEST_MOBISOCK));
  const agentFor = (servername) => new MobileAgent({ connections: 1, connect: { ca, servername } });
  const result = await useWith(agentFor(name), address, port, another, 'https');
  const wrong = await useWith(agentFor(`not.${name}`), address, port, () => false, 'https').catch(({ code }) => code);
  return { ...result, wrong };
}
