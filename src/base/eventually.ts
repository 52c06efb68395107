/**
 * A value that is there now, or a promise of it.
 *
 * Most HSM work takes microseconds and must not pay for a promise; RSA and key generation run on native
 * threads and cannot do without one. Code that must not care passes the value through `andThen`.
 */
export type Eventually<T> = T | Promise<T>;

export function isPromise<T>(value: Eventually<T>): value is Promise<T> {
  return value instanceof Promise;
}

/** Applies `next` at once to a value that is there, or when the promise settles. */
export function andThen<T, U>(value: Eventually<T>, next: (value: T) => Eventually<U>): Eventually<U> {
  return isPromise(value) ? value.then(next) : next(value);
}

/** As `try { next(attempt()) } catch`, for work that may fail now or later, where `recover` does not hear of what `next` throws. */
export function conclude<T, U>(
  attempt: () => Eventually<T>,
  next: (value: T) => Eventually<U>,
  recover: (error: unknown) => Eventually<U>,
): Eventually<U> {
  let value: Eventually<T>;
  try {
    value = attempt();
  } catch (error) {
    return recover(error);
  }
  return isPromise(value) ? value.then(next, recover) : next(value);
}

/** As `try { attempt() } catch`, for work that may fail now or later. */
export function orElse<T>(
  attempt: () => Eventually<T>,
  recover: (error: unknown) => Eventually<T>,
): Eventually<T> {
  try {
    const value = attempt();
    return isPromise(value) ? value.catch(recover) : value;
  } catch (error) {
    return recover(error);
  }
}

/** Why those failed that did. */
export function reasonsOf(results: readonly PromiseSettledResult<unknown>[]): unknown[] {
  const reasons: unknown[] = [];
  for (const result of results) if (result.status === 'rejected') reasons.push(result.reason);
  return reasons;
}
