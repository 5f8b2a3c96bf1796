// Runs a JavaScript handler: asks the Runtime API for events, and answers with what it returns.
//
// It speaks the public Runtime API, as any custom runtime does. Errors have the forms of AWS's own
// Node.js runtime. Source: "Using the Lambda runtime API for custom runtimes"; "AWS Lambda context
// object in Node.js"; "Response streaming for Lambda functions".
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import util from "node:util";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const root = process.env.LAMBDA_TASK_ROOT;
const json = process.env.AWS_LAMBDA_LOG_FORMAT === "JSON";
let requestId = "";

function request(method, url, headers = {}) {
  return { host, port, agent, method, path: `/2018-06-01/runtime${url}`, headers };
}

function ask(method, url, body = "", headers = {}) {
  return new Promise((resolve, reject) => {
    const content = Buffer.from(body);
    if (method === "POST") headers["Content-Length"] = content.length;
    const sent = http.request(request(method, url, headers), (answer) => {
      const parts = [];
      answer.on("data", (part) => parts.push(part));
      answer.on("end", () =>
        resolve({ headers: answer.headers, body: Buffer.concat(parts).toString() }),
      );
    });
    sent.on("error", reject);
    sent.end(content);
  });
}

// A line break within one event is a carriage return.
function write(text) {
  fs.writeSync(1, `${text.replace(/\n/g, "\r")}\n`);
}

const levels = { debug: 20, error: 50, info: 30, log: 30, trace: 10, warn: 40 };
const least = { TRACE: 10, DEBUG: 20, INFO: 30, WARN: 40, ERROR: 50, FATAL: 60 };

for (const name of Object.keys(levels)) {
  console[name] = (...given) => {
    const level = name === "log" ? "INFO" : name.toUpperCase();
    if (json) {
      if (levels[name] < (least[process.env.AWS_LAMBDA_LOG_LEVEL] ?? 0)) return;
      const message = given.length === 1 && !(given[0] instanceof Error) ? given[0] : util.format(...given);
      write(JSON.stringify({ timestamp: new Date().toISOString(), level, requestId, message }));
    } else {
      write(`${new Date().toISOString()}\t${requestId || "undefined"}\t${level}\t${util.format(...given)}`);
    }
  };
}

class Fault extends Error {
  constructor(kind, text) {
    super(text);
    this.name = kind;
  }
}

function told(error) {
  if (!(error instanceof Error)) {
    return { errorType: typeof error, errorMessage: String(error), trace: [] };
  }
  return {
    errorType: error.name,
    errorMessage: error.message,
    trace: (error.stack || "").split("\n"),
  };
}

async function failed(url, error, kind) {
  const said = told(error);
  if (kind) said.errorType = kind;
  console.error(`${kind ? kind : "Invoke Error"} \t${JSON.stringify({ ...said, stack: said.trace, trace: undefined })}`);
  await ask("POST", url, JSON.stringify(said), {
    "Content-Type": "application/json",
    "Lambda-Runtime-Function-Error-Type": said.errorType,
  });
}

// A handler that streams is marked, and gets a stream to write into.
const streams = Symbol.for("aws.lambda.runtime.handler.streaming");
globalThis.awslambda = {
  streamifyResponse: (handler) => {
    handler[streams] = true;
    return handler;
  },
  HttpResponseStream: {
    from: (stream, prelude) => {
      stream.setContentType("application/vnd.awslambda.http-integration-response");
      stream.write(JSON.stringify(prelude));
      stream.write(Buffer.alloc(8));
      return stream;
    },
  },
};

async function loaded() {
  const named = process.env._HANDLER;
  const base = path.basename(named);
  const dot = base.indexOf(".");
  if (dot < 0 || named.includes("..")) {
    throw new Fault("Runtime.MalformedHandlerName", "Bad handler");
  }
  const file = path.join(root, path.dirname(named), base.slice(0, dot));
  const found = [file, `${file}.js`, `${file}.mjs`, `${file}.cjs`].find(
    (one) => fs.existsSync(one) && fs.statSync(one).isFile(),
  );
  if (!found) {
    const module = path.join(path.dirname(named), base.slice(0, dot));
    throw new Fault(
      "Runtime.ImportModuleError",
      `Error: Cannot find module '${module}'\nRequire stack:\n- /var/runtime/index.mjs`,
    );
  }
  let module;
  try {
    // What is required is CommonJS or JSON alone; `import` takes both, by the nearest package.json.
    module = found.endsWith(".mjs") ? await import(pathToFileURL(found)) : required(found);
    if (module instanceof Promise) module = await module;
  } catch (error) {
    if (error instanceof SyntaxError) throw new Fault("Runtime.UserCodeSyntaxError", String(error));
    if (error?.code === "MODULE_NOT_FOUND" || error?.code === "ERR_MODULE_NOT_FOUND") {
      throw new Fault("Runtime.ImportModuleError", String(error));
    }
    throw error;
  }
  let handler = module;
  for (const part of base.slice(dot + 1).split(".")) handler = handler?.[part];
  if (!handler) throw new Fault("Runtime.HandlerNotFound", `${named} is undefined or not exported`);
  if (typeof handler !== "function") {
    throw new Fault("Runtime.HandlerNotFound", `${named} is not a function`);
  }
  return handler;
}

function required(file) {
  try {
    return createRequire(file)(file);
  } catch (error) {
    if (error?.code === "ERR_REQUIRE_ESM") return import(pathToFileURL(file));
    if (error instanceof SyntaxError && /import statement|Unexpected token 'export'/.test(error.message)) {
      return import(pathToFileURL(file));
    }
    throw error;
  }
}

function contextOf(headers) {
  const deadline = Number(headers["lambda-runtime-deadline-ms"]);
  const client = headers["lambda-runtime-client-context"];
  const identity = headers["lambda-runtime-cognito-identity"];
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: client ? JSON.parse(client) : undefined,
    identity: identity ? JSON.parse(identity) : undefined,
    invokedFunctionArn: headers["lambda-runtime-invoked-function-arn"],
    awsRequestId: headers["lambda-runtime-aws-request-id"],
    getRemainingTimeInMillis: () => Math.max(deadline - Date.now(), 0),
  };
}

function called(handler, event, context) {
  return new Promise((resolve, reject) => {
    const callback = (error, result) => (error ? reject(error) : resolve(result));
    context.succeed = resolve;
    context.fail = reject;
    context.done = callback;
    const result = handler(event, context, callback);
    if (typeof result?.then === "function") result.then(resolve, reject);
    // A handler of two parameters that returns no promise has nothing more to say.
    else if (handler.length < 3) process.nextTick(() => resolve(result));
  });
}

function streamed(handler, event, context) {
  return new Promise((resolve, reject) => {
    const headers = {
      "Lambda-Runtime-Function-Response-Mode": "streaming",
      "Transfer-Encoding": "chunked",
      "Content-Type": "application/octet-stream",
      Trailer: "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body",
    };
    const url = `/invocation/${requestId}/response`;
    const stream = http.request(request("POST", url, headers), (answer) => {
      answer.resume();
      answer.on("end", resolve);
    });
    stream.on("error", reject);
    stream.setContentType = (type) => stream.setHeader("Content-Type", type);
    const broken = (error) => {
      const said = told(error);
      console.error(`Invoke Error \t${JSON.stringify(said)}`);
      stream.addTrailers({
        "Lambda-Runtime-Function-Error-Type": said.errorType,
        "Lambda-Runtime-Function-Error-Body": Buffer.from(JSON.stringify(said)).toString("base64"),
      });
      stream.end();
    };
    Promise.resolve()
      .then(() => handler(event, stream, context))
      .catch(broken);
  });
}

let broken = async (error) => {
  await failed("/init/error", error);
  process.exit(1);
};
process.on("uncaughtException", (error) => broken(error));
process.on("unhandledRejection", (reason) => {
  const error = new Fault("Runtime.UnhandledPromiseRejection", String(reason));
  broken(error);
});

let handler;
try {
  handler = await loaded();
} catch (error) {
  await broken(error);
}
broken = async (error) => {
  await failed(`/invocation/${requestId}/error`, error);
  process.exit(129);
};
for (;;) {
  const { headers, body } = await ask("GET", "/invocation/next");
  requestId = headers["lambda-runtime-aws-request-id"];
  const trace = headers["lambda-runtime-trace-id"];
  if (trace) process.env._X_AMZN_TRACE_ID = trace;
  const context = contextOf(headers);
  try {
    const event = JSON.parse(body);
    if (handler[streams]) {
      await streamed(handler, event, context);
      continue;
    }
    const result = await called(handler, event, context);
    let content;
    try {
      content = JSON.stringify(result === undefined ? null : result);
    } catch {
      content = JSON.stringify("Unable to stringify response body");
    }
    await ask("POST", `/invocation/${requestId}/response`, content, {
      "Content-Type": "application/json",
    });
  } catch (error) {
    await failed(`/invocation/${requestId}/error`, error);
  }
}
