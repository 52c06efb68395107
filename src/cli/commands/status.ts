import { askOfHsms } from '../control.js';
import type { Home } from '../home.js';
import { askRunning, hsmsHere } from '../listeners.js';
import { type EngineStatus, mergedStatus } from '../status.js';
import { bold, table } from '../terminal.js';

export async function statusCommand(home: Home, json: boolean): Promise<void> {
  const status = await statusOf(home);
  console.log(json ? JSON.stringify(status, null, 2) : statusPage(home, status));
}

async function statusOf(home: Home): Promise<EngineStatus> {
  const answered = await askRunning(home, askOfHsms);
  const ofEngine = answered.get(undefined);
  return ofEngine === undefined ? mergedStatus([...answered.values()], hsmsHere(home)) : ofEngine.status;
}

function statusPage(
  home: Home,
  { pid, profile, endpoint, clusters, clients, deviations }: EngineStatus,
): string {
  const who = pid === null ? 'HSMs in processes of their own' : `engine ${pid}`;
  const lines = [`${who}, profile ${profile}, home ${home.directory}`];
  if (endpoint !== undefined) lines.push(`API ${endpoint}`);
  for (const cluster of clusters) {
    lines.push('', bold(`${cluster.id}  ${cluster.state}  ${cluster.hsmType}  ${cluster.mode}`));
    lines.push(
      table([
        ['HSM', 'STATE', 'ADDRESS', 'USERS', 'TOKEN KEYS'],
        ...cluster.hsms.map(({ id, state, condition, eniIp, port, users, tokenKeys }) => [
          id,
          condition === null ? state : `${state} (${condition})`,
          eniIp === null ? '-' : `${eniIp}:${port}`,
          String(users ?? '-'),
          String(tokenKeys ?? '-'),
        ]),
      ]),
    );
    if (cluster.differingUsers.length > 0)
      lines.push('', `users that differ between the HSMs: ${cluster.differingUsers.join(', ')}`);
  }
  if (deviations > 0)
    lines.push('', `deviations from CloudHSM: ${deviations}, which \`cloudhsm-local report\` explains`);
  if (clients.length === 0) return [...lines, '', 'no program is connected'].join('\n');
  const rows = clients.map(({ pid: client, program, sessions }) => [
    String(client),
    program,
    String(sessions),
  ]);
  return [...lines, '', table([['PID', 'PROGRAM', 'SESSIONS'], ...rows])].join('\n');
}
