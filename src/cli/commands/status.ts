import { askEngine } from '../control.js';
import type { Home } from '../home.js';
import type { EngineStatus } from '../status.js';
import { bold, table } from '../terminal.js';

export async function statusCommand(home: Home, json: boolean): Promise<void> {
  const status = await askEngine<EngineStatus>(home, 'GET', '/status');
  console.log(json ? JSON.stringify(status, null, 2) : statusPage(home, status));
}

function statusPage(home: Home, { pid, profile, clusters, clients, deviations }: EngineStatus): string {
  const lines = [`engine ${pid}, profile ${profile}, home ${home.directory}`];
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
