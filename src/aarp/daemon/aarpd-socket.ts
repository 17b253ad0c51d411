/** Where aarpd listens, and is looked for, unless told otherwise: in systemd's RuntimeDirectory=aarpd. */
export const DEFAULT_AARPD_SOCKET = '/run/aarpd/aarpd.sock';
