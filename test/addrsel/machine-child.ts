/**
 * Runs inside a namespace and answers each line of input, a JSON object, with one: the addresses of the machine as it
 * is now, the kernel's labels, the destinations in `ips` as the kernel routes them, and the addresses of the name in
 * `name` as getaddrinfo orders them.
 */
import { lookup } from 'node:dns/promises';
import { createInterface } from 'node:readline';
import { routeDestination } from '../../src/addrsel/io/machine.ts';
import { readGlibcTable, readKernelTable } from '../../src/addrsel/io/system-tables.ts';
import { writePolicyJson } from '../../src/addrsel/policy-json.ts';
import { readAddressFacts } from '../../src/host/address-facts.ts';

async function getaddrinfo(name: string): Promise<string[]> {
  const found = await lookup(name, { all: true, verbatim: true });
  return found.map(({ address }) => address);
}

for await (const line of createInterface({ input: process.stdin })) {
  const { ips = [], name } = JSON.parse(line) as { ips?: string[]; name?: string };
  const addresses = readAddressFacts();
  const answer = {
    addresses,
    kernel: writePolicyJson(readKernelTable()),
    glibc: writePolicyJson(readGlibcTable()),
    destinations: ips.map((ip) => routeDestination(ip, addresses)),
    order: name === undefined ? [] : await getaddrinfo(name),
  };
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
