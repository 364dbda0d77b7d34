#!/usr/bin/python3
"""node: buffers, JSON, expressions, zlib in its thread pool, workers and child processes."""

import harness

SCRIPT = r"""
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const { createHash, pbkdf2Sync } = require('crypto');
const { execFileSync } = require('child_process');
const zlib = require('zlib');

const digest = (data) => createHash('sha256').update(data).digest('hex');
let seed = 5;
const chance = (n) => (seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff) % n;

function work(start) {
  seed = start;
  const records = Array.from({ length: 60000 }, (_, i) => (
    { id: i, name: chance(1e9).toString(36),
      tags: Array.from({ length: chance(6) }, () => chance(100)) }));
  const text = JSON.stringify(records);
  const again = JSON.parse(text.replace(/[xyz]+/g, (c) => c.toUpperCase()));
  again.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.id - b.id));
  const buffers = [];
  for (let i = 0; i < 3000; i++) {
    buffers.push(Buffer.alloc(chance(20000), i));
    if (i % 3 == 0) buffers[chance(buffers.length)] = Buffer.from(again[i].name);
  }
  return digest(JSON.stringify(again)) + digest(Buffer.concat(buffers));
}

async function main() {
  console.log(work(1));
  const results = await Promise.all([2, 3, 4].map((start) => new Promise((done, failed) => {
    const worker = new Worker(__filename, { workerData: start });
    worker.on('message', done).on('error', failed);
  })));
  console.log(results.join('\n'));
  const data = Buffer.from(Array.from({ length: 2000000 }, () => chance(64)));
  const packed = await Promise.all([1, 5, 9].map((level) => new Promise((done, failed) =>
    zlib.deflate(data, { level }, (error, result) => (error ? failed(error) : done(result))))));
  for (const one of packed) console.log(one.length, digest(zlib.inflateSync(one)) == digest(data));
  console.log(pbkdf2Sync('word', 'salt', 20000, 64, 'sha512').toString('hex'));
  for (let i = 0; i < 20; i++) console.log(execFileSync('echo', [`child ${i}`]).toString().trim());
  process.exitCode = 3;
}

if (isMainThread) main(); else parentPort.postMessage(work(workerData));
"""


def body(trial: harness.Harness) -> None:
    trial.need("node")
    script = trial.scratch / "script.js"
    script.write_text(SCRIPT)
    outcome = trial.same(["node", str(script)], succeeds=False)
    if outcome.code != 3:
        raise harness.Failure(f"node ends with {outcome.code}:\n{harness.tail(outcome.errors)}")


if __name__ == "__main__":
    harness.main(body)
