import { digest } from '../../crypto/index.js';
import { invalidRequest } from '../service/errors.js';
import type { Transaction } from './catalogue.js';
import type { ClusterRecord, Realm } from './records.js';
import type { ControlPlaneSettings, SubnetPlace } from './settings.js';

/*
 * EC2 stands behind the real service; behind this one is a table, and for subnets that are not in it a rule: all
 * such subnets of an account and region are in one VPC, their availability zones go round, and their addresses are
 * this machine's own (127.x.y.0/24). A subnet stays where it was first found.
 */

/** Regions have three to six. */
const ZONES = 'abcdef';
/** AWS keeps the first four addresses of a subnet and the last. */
const RESERVED_ADDRESSES = 4;
/** Of subnets that are not in the table: names only, nothing listens there. */
const INVENTED_IPV6_CIDR = 'fd00::/64';
/** Where HSMs' own addresses begin. */
const FIRST_ADDRESS = 10;

const hashOf = (...words: string[]): Buffer => digest('sha256', Buffer.from(words.join('\0')));

function inventPlace(tx: Transaction, realm: Realm, id: string, seed: string): SubnetPlace {
  const known = tx.all('subnet');
  const ofRealm = known.filter(({ account, region }) => account === realm.account && region === realm.region);
  const vpcId = `vpc-${hashOf(seed, realm.account, realm.region).toString('hex').slice(0, 17)}`;
  const availabilityZone = `${realm.region}${ZONES[ofRealm.length % ZONES.length]}`;
  for (let attempt = 0; ; attempt++) {
    const hash = hashOf(seed, realm.account, realm.region, id, String(attempt));
    // 127.0.y.z is where other programs listen.
    const cidr = `127.${1 + (hash[0]! % 254)}.${hash[1]}.0/24`;
    if (!known.some((subnet) => subnet.cidr === cidr)) return { vpcId, availabilityZone, cidr };
  }
}

function placeOf(tx: Transaction, realm: Realm, id: string, settings: ControlPlaneSettings): SubnetPlace {
  const stated = settings.subnets[id];
  if (stated !== undefined) return stated;
  const known = tx.get('subnet', id);
  if (known?.account === realm.account && known.region === realm.region)
    return { ...known, ipv6Cidr: INVENTED_IPV6_CIDR };
  if (known !== undefined) throw invalidRequest(`Subnet ${id} is not in this account and region.`);
  const place = inventPlace(tx, realm, id, settings.networkSeed);
  tx.put('subnet', { ...realm, id, ...place });
  return { ...place, ipv6Cidr: INVENTED_IPV6_CIDR };
}

/** The VPC of the subnets and their availability zones: one VPC, at most one subnet per zone, and IPv6 where it is asked for. */
export function mapSubnets(
  tx: Transaction,
  realm: Realm,
  ids: readonly string[],
  networkType: ClusterRecord['networkType'],
  settings: ControlPlaneSettings,
): { vpcId: string; subnets: Record<string, string> } {
  const subnets: Record<string, string> = {};
  let vpcId: string | undefined;
  for (const id of ids) {
    const place = placeOf(tx, realm, id, settings);
    vpcId ??= place.vpcId;
    if (place.vpcId !== vpcId)
      throw invalidRequest(`Subnets ${ids[0]} and ${id} are in different VPCs: all must be in one.`);
    const other = subnets[place.availabilityZone];
    if (other !== undefined)
      throw invalidRequest(
        `Subnets ${other} and ${id} are both in ${place.availabilityZone}: one subnet per Availability Zone.`,
      );
    if (!place.availabilityZone.startsWith(realm.region))
      throw invalidRequest(`Subnet ${id} is in ${place.availabilityZone}, not in ${realm.region}.`);
    if (networkType === 'DUALSTACK' && place.ipv6Cidr === undefined)
      throw invalidRequest(
        `Subnet ${id} has no IPv6 CIDR block: a cluster of network type DUALSTACK needs one.`,
      );
    subnets[place.availabilityZone] = id;
  }
  return { vpcId: vpcId!, subnets };
}

/** `a.b.c.d` as a number; undefined for what is no address. */
function addressNumber(address: string): number | undefined {
  const parts = address.split('.').map(Number);
  if (parts.length !== 4 || parts.some((part) => !(part <= 255))) return undefined;
  return parts.reduce((number, part) => number * 256 + part, 0);
}

const addressText = (number: number): string =>
  [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.');

function rangeOf(cidr: string): { first: number; size: number } {
  const [base = '', bits = ''] = cidr.split('/');
  const size = 2 ** (32 - Number(bits));
  const number = addressNumber(base) ?? 0;
  return { first: number - (number % size), size };
}

const addressesInUse = (tx: Transaction): Set<string> =>
  new Set(tx.all('cluster').flatMap(({ hsms }) => hsms.map(({ eniIp }) => eniIp)));

/** An address for a new HSM: the one that is asked for, or the subnet's next. */
export function chooseAddress(
  tx: Transaction,
  realm: Realm,
  subnetId: string,
  wanted: string | undefined,
  settings: ControlPlaneSettings,
): string {
  const { first, size } = rangeOf(placeOf(tx, realm, subnetId, settings).cidr);
  const inUse = addressesInUse(tx);
  if (wanted !== undefined) return checkAddress(wanted, subnetId, first, size, inUse);
  for (let offset = Math.min(FIRST_ADDRESS, RESERVED_ADDRESSES + size / 8); offset < size - 1; offset++) {
    const address = addressText(first + offset);
    if (!inUse.has(address)) return address;
  }
  throw invalidRequest(`Subnet ${subnetId} has no free address.`);
}

function checkAddress(
  wanted: string,
  subnetId: string,
  first: number,
  size: number,
  inUse: ReadonlySet<string>,
): string {
  const offset = (addressNumber(wanted) ?? Number.NaN) - first;
  // Written in another way, as with zeros in front, it is another address to some programs.
  const isOfSubnet =
    offset >= RESERVED_ADDRESSES && offset < size - 1 && addressText(first + offset) === wanted;
  if (!isOfSubnet) throw invalidRequest(`The IP address ${wanted} is not an address of subnet ${subnetId}.`);
  if (inUse.has(wanted)) throw invalidRequest(`The IP address ${wanted} is in use.`);
  return wanted;
}

/** The IPv6 address of an HSM in a DUALSTACK cluster. */
export function ipV6Of(
  tx: Transaction,
  realm: Realm,
  subnetId: string,
  eniIp: string,
  settings: ControlPlaneSettings,
): string {
  const { ipv6Cidr = INVENTED_IPV6_CIDR } = placeOf(tx, realm, subnetId, settings);
  const network = ipv6Cidr.replace('::/64', '');
  const groups = hashOf('ipv6', eniIp).toString('hex').match(/.{4}/g)!.slice(0, 4);
  return `${network}${network.split(':').length === 4 ? ':' : '::'}${groups.join(':')}`;
}
