import { execFileSync, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** Compiled, this file is dist/test/native/build-native.js. */
export const projectRoot = fileURLToPath(new URL('../../../', import.meta.url));
const buildFolder = `${projectRoot}build/native-test`;

export const modulePath = `${buildFolder}/libcloudhsm_pkcs11.so`;
export const nativeProgram = (name: string): string => `${buildFolder}/${name}`;

let built = false;

/** Builds the module and its test programs into a folder of their own, once per test run. */
export function buildNative(): void {
  if (built) return;
  const options = ['-DCLOUDHSM_LOCAL_SANITIZE=ON', '-DCLOUDHSM_LOCAL_TESTS=ON', '-DCMAKE_BUILD_TYPE=Release'];
  execFileSync('cmake', ['-S', `${projectRoot}native/pkcs11`, '-B', buildFolder, ...options], {
    stdio: 'pipe',
  });
  execFileSync('cmake', ['--build', buildFolder, '--parallel', '2'], { stdio: 'pipe' });
  built = true;
}

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
