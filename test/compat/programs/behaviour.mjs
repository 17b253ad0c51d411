// One scenario of a program that uses sockets in some particular way:  node behaviour.mjs SCENARIO
import * as ends from './scenarios-ends.mjs';
import * as flow from './scenarios-flow.mjs';
import * as servers from './scenarios-servers.mjs';
import { say } from './trace.mjs';

const scenario = { ...flow, ...ends, ...servers }[process.argv[2]];
process.on('exit', (code) => say('process', 'exit', code));
await scenario();
