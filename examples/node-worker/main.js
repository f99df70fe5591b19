"use strict";
// node main.js [SERVERS]: runs jobs of type `echo` and `upper` until SIGTERM or Ctrl-C.

const { Worker } = require("./worker.js");

const servers = (process.argv[2] ?? process.env.ORCHESTRIX_SERVERS ?? "127.0.0.1:7400").split(",");

const worker = new Worker(servers, {
  queues: ["default"],
  capacity: 50,
  handlers: {
    // Gives its arguments back.
    echo: async (args) => args,
    // { "text": "hello" } -> "HELLO"
    upper: async ({ text }, ctx) => {
      ctx.log(`${text.length} characters`);
      return text.toUpperCase();
    },
    // Waits, tells how far it is, and ends early when it is asked to.
    wait: async ({ seconds = 1 }, ctx) => {
      const end = Date.now() + seconds * 1_000;
      for (let left; (left = end - Date.now()) > 0; ) {
        ctx.signal.throwIfAborted();
        ctx.progress(100 * (1 - left / (seconds * 1_000)));
        await new Promise((resolve) => setTimeout(resolve, Math.min(left, 100)));
      }
      return `waited ${seconds} s`;
    },
  },
});

for (const name of ["SIGTERM", "SIGINT"]) process.on(name, () => worker.stop());

worker.run().then(
  () => process.exit(0),
  (error) => {
    console.error(String(error.message));
    process.exit(1);
  },
);
