// One query from Node with @grpc/grpc-js: mutual TLS, a signed token bound to the certificate, the digest checked over
// the report's bytes as sent.
//
//   node examples/node/query.mjs --dev .dev --as bank-cq --consent CONSENT_ID --code 91500105XXTT00018M \
//        --purpose PRE_LOAN_REVIEW --application-reference APP-1
//
// Prints one JSON object: {request_id, report, report_sha256, digest_matches}. Exit 0: answered; 1: refused, with the
// reason; 2: usage.
import { createHash, createPrivateKey, randomUUID, sign, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";

const PROTO = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "proto");
const TOKEN_SECONDS = 300;

function usage(message) {
  console.error(`用法错误 usage: ${message}`);
  process.exit(2);
}

function readArguments() {
  const text = { type: "string" };
  const options = {
    dev: text, as: text, consent: text, code: text, purpose: text,
    "application-reference": text, "loan-reference": text, "request-id": text,
    item: { type: "string", multiple: true },
  };
  let values;
  try {
    ({ values } = parseArgs({ options }));
  } catch (error) {
    usage(error.message);
  }
  for (const name of ["dev", "as", "code", "purpose"]) {
    if (!values[name]) usage(`--${name} is missing`);
  }
  return values;
}

// The folder of a dev stack, or its dev.json.
function readDevStack(path, as) {
  let dev;
  try {
    dev = JSON.parse(readFileSync(statSync(path).isDirectory() ? join(path, "dev.json") : path, "utf8"));
  } catch {
    usage(`${path}: is the development stack running?`);
  }
  if (!Object.hasOwn(dev.participants, as)) usage(`${path}: no participant ${as}`);
  return dev;
}

const base64url = (value) => Buffer.from(value).toString("base64url");

// JWT (RFC 7519) with ES256 or EdDSA, bound to the client certificate (RFC 8705 section 3.1).
function token(participant) {
  const key = createPrivateKey(readFileSync(participant.private_key));
  const alg = key.asymmetricKeyType === "ed25519" ? "EdDSA" : "ES256";
  const certificate = new X509Certificate(readFileSync(participant.certificate));
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: participant.id, sub: participant.id, aud: "bashu-gateway", iat: now, exp: now + TOKEN_SECONDS,
    jti: randomUUID(), opr: participant.staff[0],
    cnf: { "x5t#S256": createHash("sha256").update(certificate.raw).digest("base64url") },
  };
  const input = `${base64url(JSON.stringify({ alg, kid: participant.kid, typ: "JWT" }))}.${base64url(JSON.stringify(claims))}`;
  const options = alg === "ES256" ? { key, dsaEncoding: "ieee-p1363" } : key;
  return `${input}.${base64url(sign(alg === "ES256" ? "sha256" : null, Buffer.from(input), options))}`;
}

// The report's own bytes inside QueryCreditResponse: field 2, wire type 2 (what QueryCreditResponseBytes names).
function reportBytes(message) {
  let at = 0;
  const varint = () => {
    let value = 0, shift = 0, byte;
    do { byte = message[at++]; value += (byte & 0x7f) * 2 ** shift; shift += 7; } while (byte & 0x80);
    return value;
  };
  while (at < message.length) {
    const key = varint(), length = varint(), body = message.subarray(at, at + length);
    if (key === ((2 << 3) | 2)) return body;
    at += length;
  }
  return Buffer.alloc(0);
}

function reasonOf(error) {
  const text = (error.metadata?.get("grpc-status-details-bin")?.[0] ?? Buffer.alloc(0)).toString("latin1");
  return /type\.googleapis\.com\/google\.rpc\.ErrorInfo[^A-Z]*([A-Z_]+)/.exec(text)?.[1] ?? "UNKNOWN";
}

const values = readArguments();
const dev = readDevStack(values.dev, values.as);
const participant = { id: values.as, ...dev.participants[values.as] };
const definition = protoLoader.loadSync("bashu/v1/credit.proto", {
  includeDirs: [PROTO], keepCase: true, longs: String, enums: String, bytes: String, oneofs: true,
});
const { CreditService } = grpc.loadPackageDefinition(definition).bashu.v1;
const method = CreditService.service.QueryCredit;
const credentials = grpc.credentials.createSsl(
  readFileSync(dev.ca), readFileSync(participant.certificate_key), readFileSync(participant.certificate),
);
const client = new grpc.Client(dev.grpc, credentials);
const metadata = new grpc.Metadata();
metadata.set("authorization", `Bearer ${token(participant)}`);
const request = {
  request_id: values["request-id"] ?? randomUUID(),
  subject: { enterprise: { unified_social_credit_code: values.code } },
  consent_id: values.consent ?? "", purpose: values.purpose, data_items: values.item ?? [],
  application_reference: values["application-reference"] ?? "", loan_reference: values["loan-reference"] ?? "",
};
let raw;
const keepBytes = (buffer) => { raw = buffer; return method.responseDeserialize(buffer); };
client.makeUnaryRequest(
  method.path, method.requestSerialize, keepBytes, request, metadata, { deadline: Date.now() + 30_000 },
  (error, response) => {
    if (error) {
      console.error(JSON.stringify({ code: grpc.status[error.code], reason: reasonOf(error), message: error.details }));
      process.exitCode = 1;
    } else {
      const digest = createHash("sha256").update(reportBytes(raw)).digest("hex");
      const entry = JSON.parse(Buffer.from(response.receipt.entry, "base64").toString());
      const matches = JSON.stringify(entry).includes(digest);
      console.log(JSON.stringify({
        request_id: response.request_id, report: response.report, report_sha256: digest, digest_matches: matches,
      }));
      process.exitCode = matches ? 0 : 1;
    }
    client.close();
  },
);
