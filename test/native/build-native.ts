import { execFileSync, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** Compiled, this file is dist/test/native/build-native.js. */
export const projectRoot = fileURLToPath(new URL('../../../', import.meta.url));

/** The module and its test programs, built into a folder of their own. */
class NativeBuild {
  #built = false;

  constructor(
    private readonly folder: string,
    private readonly option: string,
  ) {}

  get modulePath(): string {
    return `${this.folder}/libcloudhsm_pkcs11.so`;
  }

  program(name: string): string {
    return `${this.folder}/${name}`;
  }

  /** Builds once per test run. */
  build(): void {
    if (this.#built) return;
    const options = [`-D${this.option}=ON`, '-DCLOUDHSM_LOCAL_TESTS=ON', '-DCMAKE_BUILD_TYPE=Release'];
    execFileSync('cmake', ['-S', `${projectRoot}native/pkcs11`, '-B', this.folder, ...options], {
      stdio: 'pipe',
    });
    execFileSync('cmake', ['--build', this.folder, '--parallel', '2'], { stdio: 'pipe' });
    this.#built = true;
  }
}

/** As programs get it, but for one test that is all of its own. */
export const plainBuild = new NativeBuild(`${projectRoot}build/native-test`, 'CLOUDHSM_LOCAL_SANITIZE');
/** Everything under AddressSanitizer and UndefinedBehaviorSanitizer. */
export const sanitizedBuild = new NativeBuild(
  `${projectRoot}build/native-sanitized`,
  'CLOUDHSM_LOCAL_SANITIZE_ALL',
);

export const { modulePath } = plainBuild;
export const nativeProgram = (name: string): string => plainBuild.program(name);
export const buildNative = (): void => plainBuild.build();

export interface Outcome {
  readonly code: number | null;
  /** Lines of stdout, and of stderr. */
  readonly lines: readonly string[];
  readonly errors: readonly string[];
}

type Environment = Readonly<Record<string, string>>;
/** Called for each line of stdout as it comes. What it returns, when it has, lets a paused program go on. */
type OnLine = (line: string) => Promise<void> | undefined;

/** Runs a program to its end with nothing in its environment but `env`. */
export function runProgram(
  program: string,
  args: string[],
  env: Environment = {},
  onLine?: OnLine,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
    const lines: string[] = [];
    const errors: string[] = [];
    createInterface(child.stdout).on('line', (line) => {
      lines.push(line);
      onLine?.(line)?.then(() => child.stdin.write('go\n'), reject);
    });
    createInterface(child.stderr).on('line', (line) => errors.push(line));
    child.stdin.on('error', () => {});
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, lines, errors }));
  });
}
