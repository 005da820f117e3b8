/** Whether two types are the same, not just assignable to each other. */
export type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Fails to compile unless the value has exactly this type: `expectType<Tensor>()(x)`. */
export const expectType =
  <T>() =>
  <V>(_value: V, ..._same: Same<V, T> extends true ? [] : [expected: T]): void => {};
