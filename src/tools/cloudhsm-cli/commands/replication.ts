import { required } from '../../command-row.js';
import { refused } from '../../failure.js';
import type { CliCluster } from '../cluster.js';
import { type CliContext, command } from '../context.js';
import { environmentLogin } from '../environment.js';
import { madeKey } from '../keys/creation.js';
import { selectKey } from '../keys/filter.js';
import { roleKind, roleOf } from '../names.js';
import { filter } from './keys.js';
import { logIn } from './login.js';
import { userEntry } from './users.js';

/* From one cluster to its clone: what travels is masked, and only HSMs with the same masking key understand it (reference
 * management-tools, section 7.2). */

const clusters = {
  'source-cluster-id': required<string>('SOURCE_CLUSTER_ID', 'Source cluster ID'),
  'destination-cluster-id': required<string>('DESTINATION_CLUSTER_ID', 'Destination cluster ID'),
};

interface Ends {
  readonly source: CliCluster;
  readonly destination: CliCluster;
}

/** Both clusters, somebody logged in on each. Throws REFUSED. */
async function bothEnds(context: CliContext, from: string, to: string): Promise<Ends> {
  if (from === to) throw refused('the source and the destination are the same cluster');
  const source = await context.clusters.get(from);
  const destination = await context.clusters.get(to);
  await Promise.all([source.reconnect(), destination.reconnect()]);
  if (context.single && source.login === undefined)
    await logIn(source, context.terminal, environmentLogin(context.env));
  if (context.single && destination.login === undefined)
    await logIn(destination, context.terminal, environmentLogin(context.env, 'DESTINATION_'));
  for (const { id, login } of [source, destination])
    if (login === undefined) throw refused(`nobody is logged in on ${id}: use login --cluster-id ${id}`);
  return { source, destination };
}

export const replicationCommands = [
  command({
    path: ['key', 'replicate'],
    help: 'Replicate a key from a source to a destination cluster',
    roles: ['CO', 'CU'],
    options: { filter, ...clusters },
    run: async (context, values) => {
      const { 'source-cluster-id': from, 'destination-cluster-id': to } = values;
      const { source, destination } = await bothEnds(context, from, to);
      const handle = await selectKey(source, values.filter);
      const all = await source.ofReachable('extractMaskedObject', { handle });
      // "Not synchronized throughout the cluster" (section 6.8).
      if (all.length < source.group.members.length)
        throw refused('The selected key is not synchronized throughout the cluster');
      await destination.sendToAll('Key replicate', 'insertMaskedObject', { masked: all[0]! });
      const isUser = destination.login?.role === 'crypto-user';
      const key = isUser ? await madeKey(destination, handle) : undefined;
      return { ...(key && { key }), message: 'Successfully replicated key' };
    },
  }),
  command({
    path: ['user', 'replicate'],
    help: 'Replicate a user from a source to a destination cluster',
    roles: ['CO'],
    options: {
      username: required<string>('USERNAME', 'Username of the user to replicate'),
      role: required('ROLE', 'Role the user has in the Cluster', roleKind),
      ...clusters,
    },
    run: async (context, { username, role, ...values }) => {
      const { 'source-cluster-id': from, 'destination-cluster-id': to } = values;
      const { source, destination } = await bothEnds(context, from, to);
      const name = username.toLowerCase();
      const infos = await source.sendToAll('User replicate', 'getUserInfo', { name });
      const { wrongPasswords: _, ...first } = infos[0]!;
      const differs = infos.some(
        ({ wrongPasswords: __, ...info }) => JSON.stringify(info) !== JSON.stringify(first),
      );
      if (differs) throw refused('Specified user is inconsistent across the cluster');
      const [masked] = await source.sendToAll('User replicate', 'extractMaskedUser', {
        name,
        role: roleOf(role),
      });
      await destination.sendToAll('User replicate', 'insertMaskedUser', { masked: masked! });
      const there = await destination.sendToAll('User replicate', 'getUserInfo', { name });
      return {
        user: userEntry(there, destination.group.members.length),
        message: 'Successfully replicated user',
      };
    },
  }),
];
