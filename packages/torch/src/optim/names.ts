/** A name of levin's as Python writes it: `weightDecay` -> `weight_decay`, `TMax` -> `T_max`. */
export function snakeCase(name: string): string {
  const [start, rest] = /^[A-Z][A-Z0-9]/.test(name) ? [`${name[0]}_`, name.slice(1)] : ["", name];
  return (
    start + rest.replace(/^[A-Z]/, lower).replace(/(?<=[a-z0-9])[A-Z]/g, (letter) => `_${lower(letter)}`)
  );
}

/** A name of Python's as levin writes it: `weight_decay` -> `weightDecay`, `T_max` -> `TMax`. */
export function camelCase(name: string): string {
  return name.replace(/(?<=[A-Za-z0-9])_([A-Za-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

const lower = (letter: string): string => letter.toLowerCase();
