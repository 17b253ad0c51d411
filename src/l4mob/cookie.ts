/**
 * Cookies: a responder under load answers an L4_INIT with a value that only a sender who receives at its source
 * address can give back, and keeps nothing meanwhile (as DTLS does, RFC 9147, section 5.1).
 */
import { concatBytes, equalConstantTime } from '../core/bytes.ts';
import type { Random } from '../core/random.ts';
import type { Instant } from '../core/time.ts';
import { messageMac } from './key-schedule.ts';

/** A cookie is good for one to two of these. */
const SECRET_LIFETIME_MS = 15_000;

export class CookieJar {
  readonly #random: Random;
  #secret: Uint8Array;
  #previousSecret: Uint8Array;
  #renewedAt: Instant;

  constructor(random: Random, now: Instant) {
    this.#random = random;
    this.#secret = random.bytes(32);
    this.#previousSecret = random.bytes(32);
    this.#renewedAt = now;
  }

  bake(now: Instant, source: string, nonce: Uint8Array): Uint8Array {
    this.#renew(now);
    return messageMac(this.#secret, cookieInput(source, nonce));
  }

  accepts(now: Instant, source: string, nonce: Uint8Array, cookie: Uint8Array): boolean {
    this.#renew(now);
    const input = cookieInput(source, nonce);
    return [this.#secret, this.#previousSecret].some((key) => equalConstantTime(messageMac(key, input), cookie));
  }

  #renew(now: Instant): void {
    while (now - this.#renewedAt >= SECRET_LIFETIME_MS) {
      this.#previousSecret = this.#secret;
      this.#secret = this.#random.bytes(32);
      const stale = now - this.#renewedAt >= 2 * SECRET_LIFETIME_MS;
      this.#renewedAt = stale ? now - SECRET_LIFETIME_MS : this.#renewedAt + SECRET_LIFETIME_MS;
    }
  }
}

function cookieInput(source: string, nonce: Uint8Array): Uint8Array {
  return concatBytes(new TextEncoder().encode(`${source} `), nonce);
}
