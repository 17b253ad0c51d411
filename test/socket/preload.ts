/**
 * `node --import` this to run any program on the socket layer over the loopback endpoint.
 * MOBISOCK_TEST_MOBILITY: off, auto, prefer or require. MOBISOCK_TEST_DIRECTORY: where listeners are announced.
 */
import { install } from '../../src/socket/install.ts';
import { type Mobility, Policy } from '../../src/socket/policy/policy.ts';
import { LoopbackEndpoint } from './loopback-endpoint.ts';

const { MOBISOCK_TEST_MOBILITY = 'prefer', MOBISOCK_TEST_DIRECTORY } = process.env;
install({
  policy: new Policy({ mobility: MOBISOCK_TEST_MOBILITY as Mobility }),
  endpoint: () =>
    new LoopbackEndpoint(MOBISOCK_TEST_DIRECTORY === undefined ? {} : { directory: MOBISOCK_TEST_DIRECTORY }),
});
