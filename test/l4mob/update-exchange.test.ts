/** Telling a peer where we are until it has answered. */
import { describe, expect, it } from 'vitest';
import { UpdateExchange } from '../../src/l4mob/update-exchange.ts';

describe('an update exchange', () => {
  it('sends at once, then ever more seldom, and never stops by itself', () => {
    const exchange = new UpdateExchange();
    expect([exchange.pollTimeout(), exchange.takeDue(1e9), exchange.exhausted]).toEqual([undefined, false, false]);
    exchange.start(0, 1);
    const sentAt: number[] = [];
    for (let at = exchange.pollTimeout(); at !== undefined && at < 11_000; at = exchange.pollTimeout()) {
      expect(exchange.takeDue(at - 1)).toBe(false);
      expect(exchange.takeDue(at)).toBe(true);
      sentAt.push(at);
      expect(exchange.exhausted).toBe(sentAt.length > 8);
    }
    expect(sentAt).toEqual([0, 20, 60, 140, 300, 620, 1_260, 2_540, 5_040, 7_540, 10_040]);
  });

  it('stops with an answer to what was sent since the news, not with an older one', () => {
    const exchange = new UpdateExchange();
    exchange.start(0, 5);
    exchange.takeDue(0);
    exchange.answered(4);
    expect(exchange.pollTimeout()).toBe(20);
    exchange.answered(5);
    expect(exchange.pollTimeout()).toBeUndefined();
  });

  it('starts over with news', () => {
    const exchange = new UpdateExchange();
    exchange.start(0, 1);
    for (const at of [0, 20, 60, 140]) exchange.takeDue(at);
    exchange.start(200, 5);
    expect(exchange.pollTimeout()).toBe(200);
    exchange.stop();
    expect(exchange.pollTimeout()).toBeUndefined();
  });
});
