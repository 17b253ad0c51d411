import { describe, expect, it } from 'vitest';
import { editGaiConf, editPolicyJson } from '../../src/addrsel/table-edit.ts';
import { UsageError } from '../../src/core/errors.ts';
import { entry } from './addresses.ts';

const set = (text: string, own: string): string => editGaiConf(text, { act: 'set', entry: entry(own) });
const remove = (text: string, own: string): string => editGaiConf(text, { act: 'remove', entry: entry(own) });

describe('an entry of gai.conf', () => {
  it('brings the others of its kind with it where there were none, since glibc drops its own then', () => {
    expect(set('# ours\n', '::ffff:0:0/96 - 100').replace(/ +/g, ' ')).toBe(
      '# ours\nprecedence ::1/128 50\nprecedence ::/96 20\nprecedence ::ffff:0:0/96 100\nprecedence 2002::/16 30\nprecedence ::/0 40\n',
    );
  });

  it('is replaced in its place, and added after the last of its kind', () => {
    const text = 'label ::/0 1 # all\nlabel 2001:db8::/32 7\nreload yes\n';
    expect(set(text, '2001:db8::/32 8 -').replace(/ +/g, ' ')).toBe(
      'label ::/0 1 # all\nlabel 2001:db8::/32 8\nreload yes\n',
    );
    expect(set(text, 'fd00::/8 9 -').replace(/ +/g, ' ')).toBe(
      'label ::/0 1 # all\nlabel 2001:db8::/32 7\nlabel fd00::/8 9\nreload yes\n',
    );
  });

  it('is removed with both of its lines, and nothing else', () => {
    const text = '#label ::/0 5\nlabel ::/0 1\nlabel fd00::/8 2\nprecedence fd00::/8 3\nprecedence ::/0 4\n';
    expect(remove(text, 'fd00::/8')).toBe('#label ::/0 5\nlabel ::/0 1\nprecedence ::/0 4\n');
  });

  it("of glibc's own is removed by writing the others", () => {
    const text = remove('', '2002::/16');
    expect(text).not.toContain('2002::/16');
    expect(text.split('\n').filter((line) => line.startsWith('label'))).toHaveLength(7);
    expect(text.split('\n').filter((line) => line.startsWith('precedence'))).toHaveLength(4);
  });

  it('can not be what gai.conf cannot say', () => {
    expect(() => set('', '::/0 1 - eth0')).toThrow(UsageError);
    expect(() => set('', '::/0 4294967294 -')).toThrow('labels end at 2147483647');
    expect(() => remove('', '2001:db8::/32')).toThrow('gai.conf: no entry for 2001:db8::/32');
  });
});

describe('an entry of a JSON table', () => {
  const edit = (text: string | undefined, act: 'set' | 'remove', own: string): unknown =>
    JSON.parse(editPolicyJson(text, { act, entry: entry(own) }));

  it('makes the file', () => {
    expect(edit(undefined, 'set', '0.0.0.0/0 - 100')).toEqual({
      base: 'rfc6724',
      entries: [{ prefix: '::ffff:0:0/96', precedence: 100 }],
    });
  });

  it('is changed where it is there, and added where not, by prefix and interface', () => {
    const text =
      '{"base":"glibc","entries":[{"prefix":"10.0.0.0/8","label":3},{"prefix":"fd00::/8","label":4,"interface":"eth1"}]}';
    expect(edit(text, 'set', '::ffff:10.0.0.0/104 - 50')).toEqual({
      base: 'glibc',
      entries: [
        { prefix: '10.0.0.0/8', label: 3, precedence: 50 },
        { prefix: 'fd00::/8', label: 4, interface: 'eth1' },
      ],
    });
    expect(edit(text, 'set', 'fd00::/8 5 -')).toMatchObject({
      entries: [{}, { label: 4 }, { prefix: 'fd00::/8', label: 5 }],
    });
    expect(edit(text, 'set', 'fd00::/8 5 - eth1')).toMatchObject({ entries: [{}, { label: 5, interface: 'eth1' }] });
  });

  it('is removed, and with the last one the list', () => {
    const text = '{"entries":[{"prefix":"fd00::/8","label":4}]}';
    expect(edit(text, 'remove', 'fd00::/8')).toEqual({});
    expect(() => edit(text, 'remove', 'fc00::/7')).toThrow('no entry for fc00::/7 in the file; those of its base stay');
  });
});
