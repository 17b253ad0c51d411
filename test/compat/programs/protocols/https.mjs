// https by name, with a certificate for that name.
import https from 'node:https';
import { handler, roundsWith } from './http.mjs';

const { TEST_KEY: key, TEST_CERTIFICATE: cert, TEST_NAME: name } = process.env;

export const serve = (port) =>
  new Promise((resolve) => https.createServer({ key, cert }, handler).listen(port, '::', resolve));

export async function use(address, port, another) {
  const lookup = (_, { all }, callback) =>
    all ? callback(null, [{ address, family: 4 }]) : callback(null, address, 4);
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
  const options = { port, lookup, ca: cert, agent };
  const result = await roundsWith(https.request, { ...options, host: name }, another);
  const wrong = await new Promise((resolve) => {
    https.get({ ...options, host: `not.${name}` }, () => resolve('accepted')).on('error', ({ code }) => resolve(code));
  });
  return { ...result, wrong };
}
