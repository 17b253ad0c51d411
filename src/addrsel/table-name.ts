/** Tables that have a name of their own; any other is a file. Apart, for those who only tell names. */
export const TABLE_NAMES = ['rfc6724', 'kernel', 'glibc'] as const;

export type TableName = (typeof TABLE_NAMES)[number];

/** Whether a text can name a file with a table; a slash or a dot is asked for, so that no slip becomes a file's name. */
export function isTablePath(name: string): boolean {
  return /[/.]/.test(name);
}
