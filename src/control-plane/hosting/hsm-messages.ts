import * as z from 'zod';
import { clusterModes, hsmTypes } from '../../base/cluster-kind.js';
import { limits } from '../../base/limits.js';

/*
 * What the control plane and the process of one HSM say to each other, over the channel that the process was started with:
 *
 *   control plane   call      id, name, arguments      as the call's row says
 *                   members   the cluster's HSMs        whenever they change
 *   HSM             answer    id, and the answer, or the code and text of a failure
 *                   event     name, arguments           as the event's row says
 *
 * Both sides check what they get. Secrets go this way and no other: it has no name that anybody else could open.
 */

const name = z.string().min(1).max(limits.nameBytes);
const pem = z.string().max(limits.apiRequestBytes);
const port = z.number().int().min(0).max(65_535);
const container = z
  .custom<Buffer>(Buffer.isBuffer)
  .refine(({ length }) => length <= limits.backupStateBytes + limits.backupHeaderBytes);
const nothing = z.void();

const place = z.strictObject({
  hsmId: name,
  clusterId: name,
  ordinal: z.number().int().min(1).max(63),
  hsmType: z.enum(hsmTypes),
  mode: z.enum(clusterModes),
  eniIp: name,
  limitsWrites: z.boolean(),
});

const member = z.strictObject({ id: name, ordinal: z.number().int().min(1), eniIp: name, port });
const membersOfCluster = z.strictObject({
  version: z.number().int().min(0).max(0xffff_ffff),
  clusterId: name,
  hsmType: z.enum(hsmTypes),
  mode: z.enum(clusterModes),
  hsms: z
    .array(member)
    .max(limits.hsmsPerCluster * 2)
    .readonly(),
});

const trust = z.strictObject({ certificate: pem, trustAnchor: pem });
const tlsIdentity = z.strictObject({ certificate: pem, privateKey: pem, trustAnchor: pem });
const identity = z.strictObject({
  clusterCsr: pem,
  hsmCertificate: pem,
  awsHardwareCertificate: pem,
  manufacturerHardwareCertificate: pem,
});

/** A machine that has much else to do. */
const SOON_MS = 30_000;
/** A disk that is slow, or writes that are under way. */
const WRITE_MS = 60_000;
/** A full HSM's content is read, sealed, or restored. */
const CONTENT_MS = 600_000;
/** Whoever ends the control plane waits for it. */
const CLOSE_MS = 8_000;

/** THE row per call: how long it may take before the process counts as hung, what it is given and what it answers. Those that
 * say nothing else are HsmHost's, for one HSM. */
export const hsmCalls = {
  /** Once, before the others: what the process needs to know, which whoever starts it understands. */
  begin: { timeoutMs: WRITE_MS, given: z.tuple([z.unknown()]), answer: nothing },
  create: { timeoutMs: CONTENT_MS, given: z.tuple([place, container.optional()]), answer: nothing },
  start: { timeoutMs: CONTENT_MS, given: z.tuple([place]), answer: nothing },
  check: { timeoutMs: WRITE_MS, given: z.tuple([place]), answer: nothing },
  identity: { timeoutMs: SOON_MS, given: z.tuple([name]), answer: identity },
  initialize: { timeoutMs: WRITE_MS, given: z.tuple([name, trust]), answer: nothing },
  isActivated: { timeoutMs: SOON_MS, given: z.tuple([name]), answer: z.boolean() },
  isInUse: { timeoutMs: SOON_MS, given: z.tuple([name]), answer: z.boolean() },
  limitWrites: { timeoutMs: WRITE_MS, given: z.tuple([name, z.boolean()]), answer: nothing },
  /** Who a client of the same machine is to the cluster. */
  clientIdentity: { timeoutMs: SOON_MS, given: z.tuple([name]), answer: tlsIdentity },
  backUp: { timeoutMs: CONTENT_MS, given: z.tuple([name]), answer: container },
  /** Before it is retired: the others still take over what only it has. */
  dismissClients: { timeoutMs: WRITE_MS, given: z.tuple([name]), answer: nothing },
  /** What only an HSM has that leaves. */
  inheritFrom: { timeoutMs: CONTENT_MS, given: z.tuple([member]), answer: nothing },
  retire: { timeoutMs: WRITE_MS, given: z.tuple([name]), answer: nothing },
  /** The process ends when it has answered. */
  close: { timeoutMs: CLOSE_MS, given: z.tuple([]), answer: nothing },
} as const;

export type CallName = keyof typeof hsmCalls;
export type Given<N extends CallName> = z.infer<(typeof hsmCalls)[N]['given']>;
export type Answer<N extends CallName> = z.infer<(typeof hsmCalls)[N]['answer']>;

/** THE row per event. */
export const hsmEvents = {
  activated: z.tuple([name]),
  used: z.tuple([name]),
  failed: z.tuple([name, z.string().max(limits.failureTextBytes)]),
  /** Where the HSM listens, as a member of its cluster; none when it is none, or no longer. */
  members: z.tuple([z.array(member).max(1)]),
} as const;

export type EventName = keyof typeof hsmEvents;
export type Happened<N extends EventName> = z.infer<(typeof hsmEvents)[N]>;

const callId = z.number().int().min(1);
const callNames = Object.keys(hsmCalls) as [CallName, ...CallName[]];
const eventNames = Object.keys(hsmEvents) as [EventName, ...EventName[]];

/** What the process of an HSM is sent. */
export const toHsm = z.union([
  z.strictObject({ call: z.enum(callNames), id: callId, given: z.array(z.unknown()) }),
  z.strictObject({ members: membersOfCluster }),
]);
export type ToHsm = z.infer<typeof toHsm>;

/** What it sends. */
export const fromHsm = z.union([
  z.strictObject({ id: callId, answer: z.unknown() }),
  z.strictObject({ id: callId, code: name.optional(), refused: z.string().max(limits.failureTextBytes) }),
  z.strictObject({ event: z.enum(eventNames), happened: z.array(z.unknown()) }),
]);
export type FromHsm = z.infer<typeof fromHsm>;
