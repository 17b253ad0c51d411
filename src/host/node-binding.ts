/** Node's internal bindings, as `net` and `dgram` use them. Throws under the permission model, which hides them. */
export function nodeBinding<Shape>(name: string): Shape {
  return (process as unknown as { binding(name: string): Shape }).binding(name);
}
