import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Alarm, monotonicNow } from '../../src/host/clock.ts';

/** An alarm and the instants at which it fired. */
const fired = (count: number): { alarm: Alarm; times: number[]; done: Promise<void> } => {
  const times: number[] = [];
  let resolve = (): void => {};
  const done = new Promise<void>((r) => {
    resolve = r;
  });
  const alarm = new Alarm((now) => {
    times.push(now);
    if (times.length === count) resolve();
  });
  return { alarm, times, done };
};

describe('alarm', () => {
  afterEach(() => void vi.useRealTimers());

  it('fires once, not before its deadline', async () => {
    const { alarm, times, done } = fired(1);
    const deadline = monotonicNow() + 5.5;
    alarm.set(deadline);
    await done;
    expect(times[0]).toBeGreaterThanOrEqual(deadline);
    expect(alarm.deadline).toBeUndefined();
  });

  it('obeys the latest deadline, be it earlier or later', async () => {
    const { alarm, times, done } = fired(1);
    const now = monotonicNow();
    alarm.set(now + 60_000);
    alarm.set(now + 2);
    alarm.set(now + 30);
    await done;
    expect(times).toHaveLength(1);
    expect(times[0]).toBeGreaterThanOrEqual(now + 30);
  });

  it('does not fire when the deadline was withdrawn', async () => {
    const withdrawn = fired(1);
    const later = fired(1);
    withdrawn.alarm.set(monotonicNow() + 2);
    withdrawn.alarm.set(undefined);
    later.alarm.set(monotonicNow() + 10);
    await later.done;
    expect(withdrawn.times).toEqual([]);
  });

  it('does not fire inside set, even when the deadline has passed', async () => {
    const { alarm, times, done } = fired(1);
    alarm.set(monotonicNow() - 1000);
    expect(times).toEqual([]);
    await done;
  });

  it('can be set again from its own callback', async () => {
    const times: number[] = [];
    await new Promise<void>((resolve) => {
      const alarm = new Alarm((now) => {
        times.push(now);
        if (times.length < 3) alarm.set(now + 1);
        else resolve();
      });
      alarm.set(monotonicNow());
    });
    expect(times).toHaveLength(3);
  });

  it('goes off in the order of the deadlines, whoever was set, moved or withdrawn meanwhile', async () => {
    const now = monotonicNow();
    const order: number[] = [];
    await new Promise<void>((resolve) => {
      const alarms = Array.from({ length: 60 }, (_, i) => {
        const alarm = new Alarm(() => {
          order.push(i);
          if (order.length === 40) resolve();
        });
        alarm.set(now + 5 + ((i * 37) % 60) / 4);
        return alarm;
      });
      for (const [i, alarm] of alarms.entries()) {
        if (i % 3 === 0) alarm.set(undefined);
        if (i % 3 === 1) alarm.set(now + 30 + ((i * 37) % 60) / 4);
      }
    });
    const place = (i: number): number => ((i * 37) % 60) / 4 + (i % 3 === 1 ? 30 : 5);
    expect(order).toHaveLength(40);
    expect(order).toEqual([...order].sort((a, b) => place(a) - place(b)));
  });

  it('lets the event loop turn between an alarm and one that it sets into the past', async () => {
    let fired = 0;
    const alarm = new Alarm((now) => {
      fired += 1;
      alarm.set(now - 1);
    });
    alarm.set(monotonicNow());
    await new Promise((resolve) => {
      const later = new Alarm(() => setImmediate(resolve));
      later.set(monotonicNow() + 20);
    });
    alarm.set(undefined);
    expect(fired).toBeGreaterThan(0);
    expect(fired).toBeLessThan(100);
  });

  it('takes a deadline further off than node has timers for', () => {
    const { alarm, times } = fired(1);
    alarm.set(monotonicNow() + 2 ** 40);
    expect(times).toEqual([]);
    alarm.set(undefined);
  });

  it("runs while the application's timers and clock are faked", async () => {
    vi.useFakeTimers();
    const { alarm, done } = fired(1);
    alarm.set(monotonicNow() + 2);
    await done;
  });

  /** What a process prints that has an `alarm`. */
  const run = (calls: string): string => {
    const clock = new URL('../../src/host/clock.ts', import.meta.url).href;
    const code = `
      import { Alarm, monotonicNow } from ${JSON.stringify(clock)};
      const alarm = new Alarm(() => console.log('fired'));
      ${calls}`;
    const args = ['--import', 'tsx', '--input-type=module', '--eval', code];
    const cwd = fileURLToPath(new URL('../..', import.meta.url));
    return spawnSync(process.execPath, args, { cwd, encoding: 'utf8' }).stdout;
  };

  it('goes off behind one that throws', () => {
    const thrower = `new Alarm(() => { throw new Error('thrown'); }).set(monotonicNow() + 10);`;
    const listener = `process.on('uncaughtException', (error) => console.log(error.message));`;
    expect(run(`${listener} ${thrower} alarm.set(monotonicNow() + 10);`)).toBe('thrown\nfired\n');
  });

  it('keeps the process alive exactly while it is referenced', () => {
    expect(run('alarm.set(monotonicNow() + 20);')).toBe('fired\n');
    expect(run('alarm.set(monotonicNow() + 600_000); alarm.unref();')).toBe('');
    expect(run('alarm.unref(); alarm.set(monotonicNow() + 600_000);')).toBe('');
    expect(run('alarm.unref(); alarm.set(monotonicNow() + 20); alarm.ref();')).toBe('fired\n');
    const idle = `const idle = new Alarm(() => console.log('idle')); idle.unref(); idle.set(monotonicNow() + 600_000);`;
    expect(run(`${idle} alarm.set(monotonicNow() + 20);`)).toBe('fired\n');
    expect(run(`${idle} alarm.set(monotonicNow() + 600_000); alarm.set(undefined);`)).toBe('');
  });
});
