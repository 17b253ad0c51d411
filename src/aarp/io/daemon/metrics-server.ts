/** Metrics over HTTP, for Prometheus: `GET /metrics`, and nothing else. Whoever reaches the port may read them. */
import { createServer } from 'node:http';
import type { TransportAddress } from '../../../core/address.ts';
import { formatMetrics, type Metric } from '../../daemon/metrics.ts';

export interface MetricsServer {
  readonly address: TransportAddress;
  close(): void;
}

/** One or two scrapers, each with one connection. */
const MAX_CONNECTIONS = 16;
const REQUEST_LIMIT_MS = 10_000;

/** @throws (rejects with) node's error where the port can't be had. */
export function openMetricsServer(at: TransportAddress, metrics: () => readonly Metric[]): Promise<MetricsServer> {
  const server = createServer({ requestTimeout: REQUEST_LIMIT_MS }, (request, response) => {
    const path = request.url?.split('?', 1)[0];
    const refusal = path !== '/metrics' ? 404 : request.method !== 'GET' && request.method !== 'HEAD' ? 405 : undefined;
    if (refusal !== undefined) {
      response.writeHead(refusal, { 'content-type': 'text/plain' }).end('metrics are at GET /metrics\n');
      return;
    }
    response
      .writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' })
      .end(formatMetrics(metrics()));
  });
  server.maxConnections = MAX_CONNECTIONS;
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: at.ip, port: at.port }, () => {
      server.off('error', reject);
      const bound = server.address();
      const port = typeof bound === 'object' && bound !== null ? bound.port : at.port;
      resolve({
        address: { ip: at.ip, port },
        close: () => {
          server.close();
          server.closeAllConnections();
        },
      });
    });
  });
}
