import type { HsmInfo } from '../../hsm/commands/hsm-info.js';
import { refused } from '../failure.js';
import { certificateHelp, certificateOf } from '../sdk3/certificates.js';
import { writeGivenFile } from '../sdk3/files.js';
import type { CommandRow } from './command.js';
import type { Server } from './session.js';

const INFO_HEADER =
  'Id      Name                    Hostname         Port   State           Partition               LoginState';

function infoLine({ index, configured, connection, login }: Server): string {
  const { name, host, port } = configured;
  const state = connection === undefined ? 'Not Connected' : 'Connected';
  const loginState =
    connection === undefined || login === undefined
      ? 'Not Logged in'
      : `Logged in as '${login.name}(${login.userType})'`;
  const columns = [
    String(index).padEnd(8),
    name.padEnd(24),
    host.padEnd(16),
    String(port).padEnd(8),
    state.padEnd(16),
    (connection?.hsmId ?? '').padEnd(24),
  ];
  return `${columns.join('')}${loginState}`;
}

const info: CommandRow = {
  name: 'info',
  purpose: 'tells of a server, or of all: whether it is connected, and who is logged in',
  who: 'everybody, also without a login',
  arguments: [
    { name: 'server', kind: 'text', literal: true },
    { name: 'server-number', kind: 'number', optional: true },
  ],
  run: async (session, given) => {
    const number = given.find('server-number');
    const all = session.servers;
    const asked = number === undefined ? all : all.filter(({ index }) => index === Number(number));
    if (asked.length === 0) throw refused(`there is no server ${number}`);
    session.print(INFO_HEADER, ...asked.map(infoLine));
  },
};

/** Groups of lines as in the sample of section 4.3; a group's name and value have a line. What our HSMs have is in it; the rest is the
 * sample's. */
const infoGroups = ({ serialNumber, mode }: HsmInfo): (readonly (readonly [string, string])[])[] => [
  [
    ['Label', 'cavium'],
    ['Model', 'NITROX-III CNN35XX-NFBE'],
  ],
  [
    ['Serial Number', serialNumber],
    ['HSM Flags', '0'],
    [
      'FIPS state',
      mode === 'FIPS'
        ? '2 [FIPS mode with single factor authentication]'
        : '0 [non-FIPS mode with single factor authentication]',
    ],
  ],
  [
    ['Manufacturer ID', ''],
    ['Device ID', '10'],
    ['Class Code', '100000'],
    ['System vendor ID', '177D'],
    ['SubSystem ID', '10'],
  ],
  [],
  [
    ['TotalPublicMemory', '560596'],
    ['FreePublicMemory', '294568'],
    ['TotalPrivateMemory', '0'],
    ['FreePrivateMemory', '0'],
  ],
  [
    ['Hardware Major', '3'],
    ['Hardware Minor', '0'],
  ],
  [
    ['Firmware Major', '2'],
    ['Firmware Minor', '03'],
  ],
  [['Temperature', '56 C']],
  [['Build Number', '13']],
  [['Firmware ID', 'xxxxxxxxxxxxxxx']],
];

const getHSMInfo: CommandRow = {
  name: 'getHSMInfo',
  purpose: 'tells of the hardware of the HSMs',
  who: 'everybody, also without a login',
  arguments: [],
  run: async (session) => {
    session.print(`Getting HSM Info on ${session.reachable.length} nodes`);
    await session.each('getHSMInfo', async (connection, server) => {
      const groups = infoGroups(await connection.send('getHsmInfo', undefined));
      const lines = groups.map((group) => [
        ...group.map(([name, value]) => `${' '.repeat(8)}${name.padEnd(21)}:${value}`),
        '',
      ]);
      session.print(`                *** Server ${server.index} HSM Info ***`, '', ...lines.flat());
    });
  },
};

const getCert: CommandRow = {
  name: 'getCert',
  purpose: `writes a certificate to a file: ${certificateHelp}`,
  who: 'everybody',
  arguments: [
    { name: 'file', kind: 'file' },
    { name: 'certificate-type', kind: 'number' },
  ],
  serverMode: true,
  run: async (session, given) => {
    const connection = session.connectionTo(session.mode!);
    if (connection === undefined) return;
    const { trustAnchor: trustAnchorFile } = session.mode!.configured.identity;
    const pem = await certificateOf(given.number('certificate-type'), { connection, trustAnchorFile });
    writeGivenFile(given.text('file'), pem);
    session.print('getCert Success');
  },
};

export const informationCommands: readonly CommandRow[] = [info, getHSMInfo, getCert];
