/** A Python name as levin writes it: `cross_entropy` -> `crossEntropy`, `kaiming_uniform_` -> `kaimingUniform_`. */
export function camelCase(name: string): string {
  return name.replace(/(?<=[A-Za-z0-9])_+([A-Za-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** `camelCase` for the keys of an object of keyword arguments; the values stay. */
export function camelCaseKeys(kwargs: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(kwargs).map(([key, value]) => [camelCase(key), value]));
}
