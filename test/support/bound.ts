/** A store's methods and parts as an object's own, so that a test can replace one. */
export function bound<T extends object>(store: T): T {
  const all: Record<string, unknown> = {};
  for (let from: object = store; from !== Object.prototype; from = Object.getPrototypeOf(from)) {
    for (const name of Object.getOwnPropertyNames(from)) {
      const value = (store as Record<string, unknown>)[name];
      if (!(name in all)) all[name] = typeof value === 'function' ? value.bind(store) : value;
    }
  }
  return all as T;
}
