"use strict";
// A worker for orchestrix-raft, written from docs/reference/worker-protocol.md and the .proto files alone.
//
// `new Worker(servers, { queues, capacity, handlers }).run()` resolves after `stop()` has drained it.
// A handler is `async (args, ctx) => result`; ctx has jobId, attempt, signal (an AbortSignal), log, progress.

const crypto = require("node:crypto");
const os = require("node:os");
const path = require("node:path");
const grpc = require("@grpc/grpc-js");
const protoLoader = require("@grpc/proto-loader");

const PROTO = path.resolve(__dirname, "../../proto");
const definition = protoLoader.loadSync("orchestrix/v1/workers.proto", {
  includeDirs: [PROTO],
  longs: String, // tokens are 64-bit: doubles would round them
  defaults: true,
  oneofs: true,
});
const { WorkerService } = grpc.loadPackageDefinition(definition).orchestrix.v1;

const WELCOME_MS = 8_000;
const OBSERVE_MS = 200;
const DRAIN_MS = 30_000;
const STOP_MS = 5_000;
const LAST_WORDS_MS = 5_000;
const REPORT_OUTCOMES = 1_000;
const REPORT_BYTES = 1 << 20;
const RESULT_BYTES = 1 << 20;
const FATAL = new Set(["INVALID_ARGUMENT", "PERMISSION_DENIED"]);

const monotonicMs = () => Number(process.hrtime.bigint() / 1_000_000n);

class Worker {
  constructor(servers, { queues = ["default"], capacity = 10, labels = [], name, handlers }) {
    this.servers = [...servers];
    this.at = Math.floor(Math.random() * this.servers.length);
    this.hello = { queues, capacity, labels, name: name ?? `${os.hostname()}:${process.pid}`, sdk: "node-example/0.1" };
    this.handlers = handlers;
    this.freshSession();
    this.stream = null; // the current one, once welcomed
    this.draining = false;
    this.flushing = false;
    this.observing = null;
    this.over = false;
    this.changed = () => {}; // wakes whoever waits in `until`
  }

  freshSession() {
    for (const run of this.running?.values() ?? []) this.abort(run, "lease_lost");
    this.sessionId = crypto.randomBytes(16);
    this.epoch = "0";
    this.running = new Map(); // token -> run
    this.outcomes = new Map(); // token -> { kind, value, size }, kept until acknowledged
    this.unsent = new Set(); // tokens of outcomes not sent over the current stream
    this.observation = { started: new Map(), progress: new Map(), logs: [] };
    this.sentAt = new Map(); // heartbeat number -> when it was sent
    this.heartbeats = 0;
    this.leaseAt = null; // when the last answered Hello or Heartbeat was sent
  }

  // ---- the life of the worker -----------------------------------------------------------------------

  run() {
    return new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
      this.connect();
    });
  }

  async stop() {
    if (this.draining) return;
    this.draining = true;
    this.send({ drain: {} });
    await this.until(() => this.running.size === 0, DRAIN_MS);
    for (const run of this.running.values()) this.abort(run, "draining");
    await this.until(() => this.running.size === 0, STOP_MS);
    for (const run of [...this.running.values()]) this.end(run, "released", { ...run.held });
    await this.until(() => this.outcomes.size === 0, LAST_WORDS_MS);
    if (this.stream) {
      this.send({ goodbye: {} });
      await this.until(() => this.over, LAST_WORDS_MS);
    }
    this.finish();
  }

  finish(error) {
    this.over = true;
    for (const timer of [this.heartbeatTimer, this.fenceTimer, this.observing, this.reconnecting]) clearTimeout(timer);
    if (this.opening) this.close(this.opening);
    if (this.stream) this.close(this.stream);
    if (error) this.reject(error);
    else this.resolve();
  }

  until(condition, ms) {
    if (condition()) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.changed = () => {
        if (!condition()) return;
        clearTimeout(timer);
        resolve();
      };
    });
  }

  // ---- streams ---------------------------------------------------------------------------------------

  connect() {
    const address = this.servers[this.at % this.servers.length];
    const client = new WorkerService(address, grpc.credentials.createInsecure());
    const stream = { address, client, helloAt: monotonicMs(), call: client.Session(), closed: false };
    this.opening = stream;
    stream.call.on("data", (message) => stream.closed || this.receive(stream, message));
    stream.call.on("error", () => this.lost(stream, true));
    stream.call.on("end", () => this.lost(stream, false));
    stream.timer = setTimeout(() => this.leave(stream, true), WELCOME_MS);
    const held = [...this.running.values()].map((run) => run.held);
    for (const { value } of this.outcomes.values()) held.push({ jobId: value.jobId, token: value.token });
    stream.call.write({ hello: { ...this.hello, sessionId: this.sessionId, epoch: this.epoch, held } });
  }

  lost(stream, elsewhere) {
    if (!stream.closed) this.leave(stream, elsewhere);
  }

  // Give a stream up; unless another one is there or being opened, connect again.
  leave(stream, elsewhere) {
    this.close(stream);
    if (stream === this.stream) {
      this.stream = null;
      this.sentAt.clear();
      clearTimeout(this.heartbeatTimer);
    }
    if (stream === this.opening) this.opening = null;
    if (this.over || this.stream || this.opening) return;
    if (elsewhere) this.at += 1;
    clearTimeout(this.reconnecting);
    this.reconnecting = setTimeout(() => this.connect(), 50 + Math.random() * 950);
  }

  close(stream) {
    stream.closed = true;
    clearTimeout(stream.timer);
    stream.call.cancel();
    stream.client.close();
  }

  send(message) {
    if (this.stream) this.stream.call.write(message);
  }

  // ---- messages of the node --------------------------------------------------------------------------

  receive(stream, message) {
    switch (message.kind) {
      case "welcome":
        return this.welcomed(stream, message.welcome);
      case "assignments":
        return message.assignments.jobs.forEach((job) => this.assigned(job));
      case "reportAck":
        for (const token of [...message.reportAck.tokens, ...message.reportAck.stale]) {
          this.outcomes.delete(token);
          this.unsent.delete(token);
        }
        return this.changed();
      case "stop":
        for (const { token, reason } of message.stop.jobs) {
          if (this.running.has(token)) this.abort(this.running.get(token), reason);
        }
        return undefined;
      case "heartbeatAck":
        this.learn(message.heartbeatAck.servers ?? []);
        return this.heartbeatAnswered(Number(message.heartbeatAck.number));
      case "refused":
        return this.refused(stream, message.refused);
      case "redirect":
        return this.redirected(stream, message.redirect.servers);
      case "drainAsked":
        this.stop();
        return undefined;
      case "farewell":
        this.over = true;
        return this.changed();
      default:
        return undefined; // a newer node: nothing that this worker must know
    }
  }

  welcomed(stream, welcome) {
    clearTimeout(stream.timer);
    if (stream !== this.stream) {
      const before = this.stream;
      this.stream = stream;
      this.opening = null;
      if (before) this.close(before);
      console.log(`attached to node ${welcome.nodeId} at ${stream.address}`);
    }
    this.epoch = welcome.epoch;
    this.intervalMs = welcome.heartbeatIntervalMs;
    this.fenceMs = welcome.fenceAfterMs;
    this.learn(welcome.servers);
    this.sentAt.clear();
    this.leased(stream.helloAt);
    this.beatIn(this.intervalMs);
    if (this.draining) this.send({ drain: {} });
    this.unsent = new Set(this.outcomes.keys());
    this.flush();
  }

  refused(stream, { reason, message }) {
    if (FATAL.has(reason)) return this.finish(new Error(`${reason}: ${message}`));
    if (reason === "SESSION_UNKNOWN") return this.startAfresh(`${reason}: ${message}`);
    return this.leave(stream, reason !== "SESSION_MOVED");
  }

  learn(servers) {
    for (const server of servers) if (!this.servers.includes(server)) this.servers.push(server);
  }

  redirected(stream, servers) {
    const others = servers.filter((server) => server !== stream.address);
    if (others.length === 0) return;
    if (this.opening) this.close(this.opening); // told again: who was named before does not answer
    this.learn(others);
    this.at = this.servers.indexOf(others[0]);
    this.connect(); // the old stream stays in use until the new one is welcomed
  }

  // ---- heartbeats and the fence ----------------------------------------------------------------------

  beatIn(ms) {
    clearTimeout(this.heartbeatTimer);
    this.heartbeatTimer = setTimeout(() => this.beat(), ms);
  }

  beat() {
    const now = monotonicMs();
    const [oldest = now] = this.sentAt.values();
    if (now - oldest >= this.intervalMs) return this.leave(this.stream, true);
    this.heartbeats += 1;
    this.sentAt.set(this.heartbeats, now);
    this.send({ heartbeat: { number: this.heartbeats } });
    return this.beatIn(this.intervalMs / 4);
  }

  heartbeatAnswered(number) {
    const sent = this.sentAt.get(number);
    for (const earlier of [...this.sentAt.keys()]) if (earlier <= number) this.sentAt.delete(earlier);
    if (sent === undefined) return;
    this.leased(sent);
    if (this.sentAt.size === 0) this.beatIn(Math.max(0, sent + this.intervalMs - monotonicMs()));
  }

  leased(sentAt) {
    this.leaseAt = Math.max(this.leaseAt ?? sentAt, sentAt);
    clearTimeout(this.fenceTimer);
    const left = Math.max(0, this.leaseAt + this.fenceMs - monotonicMs());
    this.fenceTimer = setTimeout(() => this.startAfresh("no heartbeat was answered in time"), left);
  }

  startAfresh(why) {
    console.warn(`the session is lost: ${why}`);
    clearTimeout(this.fenceTimer);
    this.freshSession();
    const streams = [this.stream, this.opening].filter(Boolean);
    for (const stream of streams) this.leave(stream, true);
    if (streams.length === 0 && !this.over) {
      clearTimeout(this.reconnecting);
      this.reconnecting = setTimeout(() => this.connect(), 50);
    }
    this.changed();
  }

  // ---- jobs ------------------------------------------------------------------------------------------

  assigned(job) {
    if (this.running.has(job.token) || this.outcomes.has(job.token)) return; // delivered again
    const run = { held: { jobId: job.jobId, token: job.token }, startedMs: Date.now(), stopped: new AbortController() };
    this.running.set(job.token, run);
    if (this.draining) return this.end(run, "released", { ...run.held });
    this.observation.started.set(job.token, { ...run.held, startedMs: run.startedMs });
    this.observeSoon();
    return this.execute(run, job);
  }

  async execute(run, job) {
    try {
      const handler = this.handlers[job.type];
      if (!handler) throw new Error(`no handler for type '${job.type}' on worker ${this.hello.name}`);
      const result = await handler(JSON.parse(job.args.toString("utf8") || "{}"), this.context(run, job));
      const text = Buffer.from(JSON.stringify(result ?? null));
      if (text.length > RESULT_BYTES) {
        this.fail(run, `the result has ${text.length} bytes as JSON: at most ${RESULT_BYTES}`, { final: true });
      } else {
        this.end(run, "completed", { ...run.held, result: text, startedMs: run.startedMs, finishedMs: Date.now() });
      }
    } catch (error) {
      if (run.stopped.signal.reason === "draining") this.end(run, "released", { ...run.held });
      else this.fail(run, error?.stack ?? String(error), { cancelled: run.stopped.signal.aborted });
    }
  }

  context(run, job) {
    return {
      jobId: job.jobId.toString("hex"),
      attempt: job.attempt,
      queue: job.queue,
      fencingToken: job.token,
      signal: run.stopped.signal,
      log: (message, level = "info") => {
        this.observation.logs.push({ ...run.held, atMs: Date.now(), level, message: String(message) });
        this.observeSoon();
      },
      progress: (percent, message = "") => {
        this.observation.progress.set(job.token, { ...run.held, percent: Math.round(percent), message });
        this.observeSoon();
      },
    };
  }

  abort(run, reason) {
    run.stopped.abort(reason);
  }

  fail(run, error, more) {
    const value = { ...run.held, error: error.slice(0, 16_000), startedMs: run.startedMs, finishedMs: Date.now() };
    this.end(run, "failed", { ...value, ...more });
  }

  end(run, kind, value) {
    const { token } = run.held;
    if (this.running.get(token) !== run) return; // of an earlier session, or given back already
    this.running.delete(token);
    this.observation.started.delete(token);
    this.observation.progress.delete(token);
    this.outcomes.set(token, { kind, value, size: (value.result?.length ?? 0) + (value.error?.length ?? 0) });
    this.unsent.add(token);
    // What ends in this turn of the event loop travels in one message.
    if (!this.flushing) {
      this.flushing = true;
      setImmediate(() => this.flush());
    }
    this.changed();
  }

  // ---- what goes out ---------------------------------------------------------------------------------

  observeSoon() {
    if (!this.observing) this.observing = setTimeout(() => this.observe(), OBSERVE_MS);
  }

  observe() {
    clearTimeout(this.observing);
    this.observing = null;
    if (!this.stream) return this.observeSoon();
    const { started, progress, logs } = this.observation;
    if (started.size + progress.size + logs.length === 0) return undefined;
    this.observation = { started: new Map(), progress: new Map(), logs: logs.slice(1_000) };
    this.send({ observation: { started: [...started.values()], progress: [...progress.values()], logs: logs.slice(0, 1_000) } });
    return this.observation.logs.length ? this.observeSoon() : undefined;
  }

  flush() {
    this.flushing = false;
    if (!this.stream || this.unsent.size === 0) return;
    if (this.observation.logs.length) this.observe(); // lines go before the report that ends their job
    let report = { completed: [], failed: [], released: [] };
    let count = 0;
    let size = 0;
    for (const token of this.unsent) {
      const outcome = this.outcomes.get(token);
      report[outcome.kind].push(outcome.value);
      count += 1;
      size += outcome.size;
      if (count === REPORT_OUTCOMES || size > REPORT_BYTES) {
        this.send({ report });
        report = { completed: [], failed: [], released: [] };
        count = size = 0;
      }
    }
    if (count) this.send({ report });
    this.unsent.clear();
  }
}

module.exports = { Worker };
