/** A datagram flow behind a NAT that forgets again and again: only what was sent to a dead mapping is lost. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DatagramLog } from './datagram-log.ts';
import { delivery, expectNothingWrong, startDatagramPair } from './datagram-pair.ts';
import { createLab, type Lab, labMissing } from './index.ts';

const missing = await labMissing();
const STEADY = { bytes: 100, everyMs: 2 };

describe.skipIf(missing)('a datagram flow behind a NAT', { timeout: 60_000 }, () => {
  let lab: Lab;
  beforeEach(async () => {
    lab = await createLab();
  });
  afterEach(() => lab.close());

  test.each([
    [50, 20],
    [100, 20],
    [300, 10],
    [1_000, 5],
  ])('that forgets every %i ms goes on both ways', async (everyMs, times) => {
    await lab.nat.enable({ networks: ['wifi'], randomPorts: true });
    const plan = { client: { send: STEADY }, server: { send: STEADY }, held: true };
    const { client, server } = await startDatagramPair(lab, plan);
    const [clientLog, serverLog] = [await DatagramLog.start(lab, lab.client), await DatagramLog.start(lab, lab.server)];
    for (const end of [client, server]) end.begin();
    const forgetting = lab.nat.forgetEvery(everyMs);
    await forgetting.times(times);
    await forgetting.stop();
    for (const end of [client, server]) await end.stop();

    const toServer = await delivery(clientLog, serverLog, server);
    expect(toServer).toMatchObject({ missing: [], invented: [] });
    expect(toServer.delivered).toBe((await client.status()).peers[0]?.sent);

    const toClient = await delivery(serverLog, clientLog, client);
    expect(toClient).toMatchObject({ missing: [], invented: [] });
    const lost = toClient.sent - toClient.arrived;
    expect(lost).toBeLessThanOrEqual(await lab.nat.unmapped());
    // A place that nobody announced gets three times what came from there, until it has answered.
    const held = ((await server.status()).peers[0]?.sent ?? Number.NaN) - toClient.sent;
    expect(held).toBeLessThan(times);
    console.log(
      `a NAT that forgets every ${everyMs} ms, ${times} times: of ${toClient.sent}, ${lost} lost, ${held} held`,
    );
    expect(toClient.delivered).toBeGreaterThan(toClient.sent / 2);
    expect(server.events('move').length).toBeGreaterThan(times / 2);
    await expectNothingWrong({ client, server });
  });
});
