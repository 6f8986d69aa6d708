// BullMQ on node, set up as its documentation says.
//
// - ioredis, its default client, and one connection that the queue uses for all its calls;
// - `maxRetriesPerRequest: null`, which its worker demands;
// - one worker with a local concurrency, not several;
// - completed jobs are kept, as it comes (`--remove`: removed at once);
// - jobs in bulk by `addBulk`, a thousand a call.
//
// It answers the requests that the README of the benchmarks lists, a line of JSON each. The packages
// are in a folder of their own, which BENCH_NODE names.

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

const installed = createRequire(pathToFileURL(`${process.env.BENCH_NODE}/package.json`));
const { Queue, Worker } = installed('bullmq');
const IORedis = installed('ioredis');

const NAME = 'bench';
const BULK = 1000;
const TEXT = 'a small payload';
const UNFINISHED = ['waiting', 'active', 'delayed', 'prioritized', 'paused'];

const { values: options } = parseArgs({
  options: {
    url: { type: 'string' },
    concurrency: { type: 'string' },
    remove: { type: 'boolean', default: false },
    uvloop: { type: 'boolean' }, // every program is told; node has but one loop
  },
});
const concurrency = Number(options.concurrency);

let connection, queue, worker, cpu;
const numbers = [];
const times = [];

// The clock that Python calls time.monotonic.
function monotonic() {
  return Number(process.hrtime.bigint()) / 1e9;
}

function connect() {
  return new IORedis(options.url, { maxRetriesPerRequest: null });
}

function payload(number) {
  return { number, text: TEXT };
}

async function timed(work) {
  const started = monotonic();
  await work();
  return { seconds: monotonic() - started };
}

const actions = {
  async hello() {
    const versions = { node: process.versions.node };
    for (const name of ['bullmq', 'ioredis']) {
      versions[name] = installed(`${name}/package.json`).version;
    }
    const kept = options.remove ? 'completed jobs are removed at once' : 'completed jobs are kept';
    return {
      configuration:
        `concurrency: ${concurrency}, ${kept}, ioredis, ` +
        `${BULK.toLocaleString('en')} jobs in a call of addBulk`,
      versions,
    };
  },
  async create() {
    return actions.open();
  },
  async open() {
    connection = connect();
    queue = new Queue(NAME, { connection });
    await queue.waitUntilReady();
    return {};
  },
  async one_by_one({ first, jobs }) {
    return timed(async () => {
      for (let number = first; number < first + jobs; number += 1) {
        await queue.add('noop', payload(number), {});
      }
    });
  },
  async bulk({ first, jobs }) {
    return timed(async () => {
      const end = first + jobs;
      for (let start = first; start < end; start += BULK) {
        const batch = [];
        for (let number = start; number < Math.min(start + BULK, end); number += 1) {
          batch.push({ name: 'noop', data: payload(number) });
        }
        await queue.addBulk(batch);
      }
    });
  },
  async send({ number, delay }) {
    const at = monotonic();
    await queue.add('noop', payload(number), delay ? { delay: delay * 1000 } : {});
    return { at };
  },
  async count() {
    const counts = await queue.getJobCounts(...UNFINISHED, 'completed');
    const unfinished = UNFINISHED.reduce((sum, state) => sum + (counts[state] ?? 0), 0);
    return { unfinished, finished: options.remove ? null : counts.completed };
  },
  async work() {
    cpu = process.cpuUsage();
    const handler = async (job) => {
      numbers.push(job.data.number);
      times.push(monotonic());
    };
    worker = new Worker(NAME, handler, {
      connection,
      concurrency,
      ...(options.remove ? { removeOnComplete: { count: 0 } } : {}),
    });
    worker.on('error', (error) => console.error(error));
    await worker.waitUntilReady();
    return {};
  },
  async runs() {
    return { runs: numbers.length };
  },
  async stop() {
    await worker?.close();
    return {};
  },
  async report() {
    const used = process.cpuUsage(cpu);
    return {
      numbers,
      times,
      cpu: (used.user + used.system) / 1e6,
      memory: process.resourceUsage().maxRSS * 1024,
    };
  },
};

async function answer(line) {
  const { do: name, ...request } = JSON.parse(line);
  try {
    return await actions[name](request);
  } catch (error) {
    return { error: String(error?.stack ?? error) };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(await answer(line)) + '\n');
}
await queue?.close();
connection?.disconnect();
