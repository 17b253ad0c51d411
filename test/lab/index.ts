/** The public face of the laboratory; tests import from here only. */
export { type LabAvailability, labAvailable, labMissing } from './availability.ts';
export type { Capture, CaptureOptions } from './capture.ts';
export type { Host, RunOptions } from './host.ts';
export { createLab, type Lab, type LabOptions } from './lab.ts';
export type { Condition, LinkConditions, Refusal, Traffic, TrafficMatch } from './link-conditions.ts';
export type { Nat, NatOptions, RebindOptions } from './nat.ts';
export { type LineOptions, Program, type ProgramExit } from './program.ts';
export type { Families, Family, HostPlan, Network } from './topology.ts';
