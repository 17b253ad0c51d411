// coap: the server is found by a question to the group of all CoAP nodes (RFC 7252, section 8), and used as any other,
// over the socket that has asked.
import coap from 'coap';
import { serveWith, useWith } from './coap.mjs';

const ALL_NODES = '224.0.1.187';

export const serve = (port) => serveWith({ type: 'udp4', multicastAddress: ALL_NODES }, port);

export async function use(_host, port, another) {
  const agent = new coap.Agent({ type: 'udp4' });
  const question = coap.request({ host: ALL_NODES, port, agent, multicast: true, pathname: '/found' });
  const answer = new Promise((resolve, reject) => question.on('response', resolve).on('error', reject));
  question.end();
  const { rsinfo, payload } = await answer;
  console.log('found', payload.toString(), rsinfo.address, rsinfo.port);
  return useWith(agent, [rsinfo.address], port, another);
}
