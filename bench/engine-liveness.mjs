/* What the engine costs while nobody works with it, and whether it answers others while everybody does. */
import { readFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PreparedRow } from './harness.mjs';

/** USER_HZ, which Linux fixes for what /proc shows. */
const TICKS_PER_SECOND = 100;

/**
 * @typedef {{row: string, seconds: number, cpuPercent?: number, requests?: number, p50Us?: number, p99Us?: number,
 *   opsPerSecond?: number}} LivenessResult
 */

function cpuSeconds(pid) {
  const facts = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = facts.slice(facts.lastIndexOf(')') + 2).split(' ');
  const [userTicks, systemTicks] = [fields[11], fields[12]].map(Number);
  return (userTicks + systemTicks) / TICKS_PER_SECOND;
}

/** The engine's share of one processor while `row.size` programs are connected and logged in, and call nothing. */
export async function measureIdle(row, target, { quick }, onStep) {
  const seconds = quick ? 5 : 30;
  const clients = [];
  try {
    for (let at = 0; at < row.size; at++) {
      clients.push(await PreparedRow.prepare(target, { name: 'null' }, 1));
    }
    const { pid } = await target.engine.status();
    await sleep(1000);
    onStep(`${seconds} s without a call`);
    const before = cpuSeconds(pid);
    await sleep(seconds * 1000);
    return { row: row.name, seconds, cpuPercent: ((cpuSeconds(pid) - before) * 100) / seconds };
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}

function statusUs(socketPath) {
  const started = performance.now();
  return new Promise((resolve, reject) => {
    get({ socketPath, path: '/status' }, (answer) => {
      answer.resume().once('end', () => resolve((performance.now() - started) * 1000));
    }).once('error', reject);
  });
}

/** How long an HTTP request for the status takes while `row.size` threads call as fast as they can. */
export async function measureStatusUnderLoad(row, target, { quick }, onStep) {
  const seconds = quick ? 2 : 10;
  const socketPath = join(target.engine.home, 'run', 'control.sock');
  const load = await PreparedRow.prepare(target, { name: 'aes-gcm-1024' }, row.size);
  try {
    onStep(`${seconds} s with ${row.size} busy threads`);
    let running = true;
    const slice = load.measure(seconds).finally(() => {
      running = false;
    });
    const times = [];
    while (running) {
      times.push(await statusUs(socketPath));
      await sleep(5);
    }
    const { opsPerSecond } = await slice;
    times.sort((a, b) => a - b);
    const at = (share) => times[Math.floor((times.length - 1) * share)];
    return { row: row.name, seconds, requests: times.length, p50Us: at(0.5), p99Us: at(0.99), opsPerSecond };
  } finally {
    await load.end();
  }
}
