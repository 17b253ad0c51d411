/**
 * Links and addresses as the kernel's messages tell them, and which addresses are usable. Sans-IO: messages in, a
 * verdict on what mattered out. Filled by a dump, kept by events, replaced as a whole when events were lost.
 */
import { isLinkLocal } from '../../core/address.ts';
import { type LocalAddress, localAddressKey, withZone } from '../local-addresses.ts';
import type { AddressMessage, LinkMessage, RouteNetlinkMessage } from './route-messages.ts';

/** What a message changed. */
export type Effect = 'none' | 'addresses' | 'links' | 'routes';

export class AddressTable {
  // No limits of their own: both mirror kernel tables, whose owner is the administrator.
  readonly #links = new Map<number, LinkMessage>();
  readonly #addresses = new Map<string, AddressMessage>();
  #usable: readonly LocalAddress[] | undefined;

  handleMessage(message: RouteNetlinkMessage): Effect {
    switch (message.kind) {
      case 'link':
        return this.#handleLink(message);
      case 'address':
        return this.#handleAddress(message);
      case 'route':
        return message.forwarding ? 'routes' : 'none';
      default:
        return 'none';
    }
  }

  /** Addresses that packets can leave from now: detection of duplicates done, interface up and with carrier. */
  usable(): readonly LocalAddress[] {
    this.#usable ??= this.#listUsable();
    return this.#usable;
  }

  linkName(index: number): string | undefined {
    return this.#links.get(index)?.name;
  }

  /** The links' state as one string: equal texts, nothing changed. */
  linkState(): string {
    return [...this.#links.values()]
      .map(({ index, name, up, running }) => `${index} ${name} ${up} ${running}`)
      .sort()
      .join('\n');
  }

  #handleLink(message: LinkMessage): Effect {
    const before = this.#links.get(message.index);
    if (message.removed) {
      this.#links.delete(message.index);
      // The kernel announces an interface's addresses as removed before the interface, but a lost event must not
      // leave them to whoever gets the index next.
      for (const [key, address] of this.#addresses) {
        if (address.interfaceIndex === message.index) this.#addresses.delete(key);
      }
    } else this.#links.set(message.index, message);
    const after = message.removed ? undefined : message;
    // Most link messages are about counters, neighbours of a bridge or wireless scans.
    if (before?.name === after?.name && before?.up === after?.up && before?.running === after?.running) return 'none';
    this.#usable = undefined;
    return 'links';
  }

  #handleAddress(message: AddressMessage): Effect {
    const key = `${message.interfaceIndex} ${message.ip}/${message.prefixLength}`;
    if (message.removed) this.#addresses.delete(key);
    else this.#addresses.set(key, message);
    this.#usable = undefined;
    return 'addresses';
  }

  #listUsable(): LocalAddress[] {
    const usable = new Map<string, LocalAddress>();
    for (const message of this.#addresses.values()) {
      const link = this.#links.get(message.interfaceIndex);
      if (link === undefined || !link.up || !link.running || message.tentative || message.dadFailed) continue;
      const address: LocalAddress = {
        ip: withZone(message.ip, link.name),
        prefixLength: message.prefixLength,
        interfaceName: link.name,
        interfaceIndex: link.index,
        // IPv4 link-local addresses have whatever scope their configurer thought of.
        scope: isLinkLocal(message.ip) ? 'link' : message.scope,
        tentative: message.tentative,
        deprecated: message.deprecated,
        temporary: message.temporary,
      };
      usable.set(localAddressKey(address), address);
    }
    return [...usable.values()];
  }
}
