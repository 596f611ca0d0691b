import { setTimeout as delay } from 'node:timers/promises';
import type { Server, Tokens } from '../server/start.ts';
import type { Call, Client } from './clients.ts';

/** Many requests at once, and what came of them. */
export interface Burst {
  /** Milliseconds until the last caller had an answer. */
  readonly wall: number;
  /** Milliseconds of CPU time in this process. */
  readonly cpu: number;
  /** How many callers got what they asked for. */
  readonly answers: number;
  /** How many had neither an answer nor an error at the deadline. */
  readonly hanging: number;
}

/** Milliseconds after which whoever waits is taken to hang: many times what anyone needs. */
const deadlineOf = (requests: number) => 10_000 + requests * 5;

/**
 * The least that can be done by hand with the bare client: each request is sent and refused, the first
 * refusal begins the one refresh, and each is sent again as soon as both have come.
 */
export function ideal({ send, refresh }: Client, tokens: Tokens): Call {
  let refreshing: Promise<Tokens> | undefined;
  return async (path) => {
    const status = await send(path, tokens.access_token);
    if (status !== 401) return status === 200;
    const next = await (refreshing ??= refresh(tokens));
    return (await send(path, next.access_token)) === 200;
  };
}

/** A burst of requests with a token that has expired. */
export async function burst(call: Call, requests: number): Promise<Burst> {
  let answers = 0;
  let settled = 0;
  const used = process.cpuUsage();
  const startedAt = performance.now();
  const one = async (path: string) => {
    // An error is no answer; which one it is does not matter here.
    if (await call(path).catch(() => false)) answers++;
    settled++;
  };
  const all = Promise.all(Array.from({ length: requests }, (_, n) => one(`/items/${n}`)));
  await Promise.race([all, delay(deadlineOf(requests), undefined, { ref: false })]);
  const { user, system } = process.cpuUsage(used);
  return {
    wall: performance.now() - startedAt,
    cpu: (user + system) / 1000,
    answers,
    hanging: requests - settled,
  };
}

/**
 * Bytes of heap that a request takes while it waits for a refresh: all have been refused, and the
 * refresh is held.
 */
export async function bytesWaiting(call: Call, requests: number, server: Server): Promise<number> {
  await server.hold();
  const empty = await heap();
  const all = burst(call, requests);
  const dueAt = performance.now() + deadlineOf(requests);
  const haveAll = async () => {
    const { refusals, refreshes } = await server.count();
    return (refusals >= requests && refreshes > 0) || performance.now() > dueAt;
  };
  while (!(await haveAll())) await delay(10);
  // Sent is not read yet.
  await delay(200);
  const full = await heap();
  await server.release();
  await all;
  return (full - empty) / requests;
}

/** What is in use when all garbage is gone; what is outside the heap and freed with it included. */
async function heap(): Promise<number> {
  for (let times = 0; times < 3; times++) {
    globalThis.gc!();
    // Finalizers run between.
    await delay(5);
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
