/** A datagram in the pieces that the application gave. */

export function piecesOf(list: readonly ArrayBufferView[]): readonly Uint8Array[] {
  for (const piece of list) if (!(piece instanceof Uint8Array)) return list.map(bytesOf);
  return list as readonly Uint8Array[];
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return view instanceof Uint8Array ? view : new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/** As the handle says that everything was sent. */
export function sentStatus(list: readonly ArrayBufferView[]): number {
  let bytes = 0;
  for (const piece of list) bytes += piece.byteLength;
  return bytes + 1;
}
