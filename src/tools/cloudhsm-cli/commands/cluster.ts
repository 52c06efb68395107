import { hardware } from '../../../cryptoki/identity.js';
import { FIRST_PASSWORD } from '../../../hsm/user-rules.js';
import { secret } from '../../command-row.js';
import { refused } from '../../failure.js';
import { command } from '../context.js';
import { newPasswordFor } from '../passwords.js';

/** THE row per mode of a cluster (reference management-tools, section 6.2). */
const fipsStates = {
  FIPS: '2 [FIPS mode with single factor authentication]',
  NON_FIPS: '0 [non-FIPS mode with single factor authentication]',
} as const;

export const clusterCommands = [
  command({
    path: ['cluster', 'activate'],
    help: 'Activate a cluster',
    roles: [],
    options: {
      password: secret(
        'PASSWORD',
        'Optional: Plaintext activation password. If you do not include this argument you will be prompted for it',
      ),
    },
    run: async ({ cluster, terminal }, { password: given }) => {
      const users = await cluster.sendToAll('Activation', 'listUsers', undefined);
      const isNew = (list: (typeof users)[number]): boolean => list.some(({ role }) => role === 'PRECO');
      if (!users.some(isNew)) throw refused('the cluster is activated already');
      if (cluster.login !== undefined) throw refused(`${cluster.login.username} is logged in: log out first`);
      const password = await newPasswordFor(terminal, given);
      await cluster.onAll('Activation', async (connection) => {
        const admin = (await connection.send('listUsers', undefined)).find(({ role }) => role === 'PRECO');
        if (admin === undefined) return;
        const { name } = admin;
        await connection.send('login', { name, role: 'PRECO', password: FIRST_PASSWORD });
        try {
          await connection.send('changePassword', { name, role: 'PRECO', password });
        } finally {
          await connection.send('logout', undefined);
        }
      });
      return 'Cluster activation successful';
    },
  }),
  command({
    path: ['cluster', 'hsm-info'],
    help: 'List info about each HSM in the cluster',
    roles: [],
    options: {},
    run: async ({ cluster }) => {
      const { vendor, model, hardwareVersion, firmwareVersion, firmwareBuild, firmwareId } = hardware;
      const hsms = await cluster.ofReachable('getHsmInfo', undefined);
      return {
        hsms: hsms.map(({ serialNumber, mode }) => ({
          vendor,
          model,
          'serial-number': serialNumber,
          'hardware-version-major': String(hardwareVersion.major),
          'hardware-version-minor': String(hardwareVersion.minor),
          'firmware-version-major': String(firmwareVersion.major),
          'firmware-version-minor': String(firmwareVersion.minor),
          'firmware-build-number': String(firmwareBuild),
          'firmware-id': firmwareId,
          'fips-state': fipsStates[mode],
        })),
      };
    },
  }),
];
