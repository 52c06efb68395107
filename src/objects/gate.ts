import { Failure } from '../base/errors.js';
import { type DeviationId, deviations, type Profile } from './deviations.js';

/** Lets a deviation pass, or throws what CloudHSM answers. `detail` says what it is about, for the log. */
export type Allow = (deviation: DeviationId, detail: string) => void;

/** Learns of deviations that were allowed. `cause` is what the client called its request; `times` is 1 if not said. */
export type DeviationListener = (deviation: DeviationId, cause: string, times?: number) => void;

/** The deviations of one piece of work, which count only if it succeeds. */
export interface Allowance {
  readonly allow: Allow;
  /** The work has succeeded. */
  settle(): void;
}

/** A client may ask for CloudHSM's own answers, and for no others. */
export const profileOf = (
  ofHsm: Profile,
  { asCloudHsm }: { readonly asCloudHsm?: boolean | undefined },
): Profile => (asCloudHsm === true ? 'strict' : ofHsm);

/**
 * Where a profile becomes behaviour: everything that CloudHSM refuses and a program wants all the same is asked for here, by
 * the id of its row. The strict gate refuses with the row's answer; the compatible one lets pass and tells the listener.
 * Nobody else looks at the profile (test/objects/deviations.test.ts).
 */
export class Gate {
  /** Whether looking for deviations that are nowhere recorded is worth the time. */
  readonly refuses: boolean;

  constructor(
    profile: Profile,
    private readonly listener: DeviationListener,
  ) {
    this.refuses = profile === 'strict';
  }

  /** For deviations that change a result. Without a cause nothing is recorded: somebody else has done it. */
  permits(deviation: DeviationId, cause: string | undefined): boolean {
    if (this.refuses) return false;
    if (cause !== undefined) this.listener(deviation, cause);
    return true;
  }

  /** What was permitted once was done again, so many times. */
  repeated(deviation: DeviationId, cause: string, times: number): void {
    this.listener(deviation, cause, times);
  }

  /** For deviations that CloudHSM refuses: throws the row's answer in the strict profile. */
  allow(deviation: DeviationId, cause: string | undefined, detail: string): void {
    if (!this.permits(deviation, cause)) throw refusal(deviation, detail);
  }

  /** The deviations of work that may yet fail; each counts once. */
  allowance(cause: string | undefined): Allowance {
    const allowed = new Set<DeviationId>();
    return {
      allow: (deviation, detail) => {
        if (this.refuses) throw refusal(deviation, detail);
        allowed.add(deviation);
      },
      settle: () => {
        if (cause !== undefined) for (const deviation of allowed) this.listener(deviation, cause);
      },
    };
  }
}

function refusal(deviation: DeviationId, detail: string): Failure {
  const { answer, words, because, fix } = deviations[deviation];
  const explained = `${detail}: ${because} (${deviation}). ${fix[0]!.toUpperCase()}${fix.slice(1)}`;
  return new Failure(answer, words ?? explained);
}
