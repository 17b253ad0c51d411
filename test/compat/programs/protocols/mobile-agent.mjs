// mobisock/undici without the preload.
import { useWith } from './undici.mjs';

export { serve } from './http.mjs';

export async function use(host, port, another) {
  const { MobileAgent } = await import(new URL('undici.js', process.env.TEST_MOBISOCK));
  return useWith(new MobileAgent({ connections: 1 }), host, port, another);
}
