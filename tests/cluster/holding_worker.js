"use strict";
// node holding_worker.js SERVER LEDGER: the worker of examples/node-worker with one handler for the queue `holding`,
// whose jobs run until the file that they name exists; their result is the attempt.  Each start and end of one is a
// line in LEDGER.

const fs = require("node:fs");
const { basename } = require("node:path");
const { Worker } = require("../../examples/node-worker/worker.js");

const LOOK_MS = 20;
const [server, ledger] = process.argv.slice(2);

const worker = new Worker([server], {
  queues: ["holding"],
  capacity: 10,
  handlers: {
    hold: async ({ path }, ctx) => {
      fs.appendFileSync(ledger, `start ${basename(path)}\n`);
      while (!fs.existsSync(path)) {
        ctx.signal.throwIfAborted();
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      }
      fs.appendFileSync(ledger, `end ${basename(path)}\n`);
      return ctx.attempt;
    },
  },
});

process.on("SIGTERM", () => worker.stop());
worker.run().then(
  () => process.exit(0),
  (error) => {
    console.error(String(error.message));
    process.exit(1);
  },
);
