// Requests per second over keep-alive connections, eight at a time.
import http from 'node:http';

const [port, warmUp, counted] = process.argv.slice(2).map(Number);
const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });

function get() {
  return new Promise((resolve, reject) => {
    const request = http.get({ port, host: '127.0.0.1', agent }, (response) => {
      response.resume();
      response.on('end', resolve);
    });
    request.on('error', reject);
  });
}

async function run(total) {
  let started = 0;
  const worker = async () => {
    while (started < total) {
      started += 1;
      await get();
    }
  };
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: 8 }, worker));
  return (total / (performance.now() - startedAt)) * 1000;
}

await run(warmUp);
process.send(await run(counted));
agent.destroy();
process.disconnect();
