'use strict';
/* Flight by grpc-js and apache-arrow, which have no Flight of their own: a server that keeps what is
 * put, and a client of the integration server's base case. Both have grpc-js's limit of 4 MiB for a
 * message that comes.
 *
 *   node flight_peer.js Flight.proto server -port=N | client -port N */

const assert = require('node:assert');
const arrow = require('apache-arrow');
const {Message} = require('apache-arrow/ipc/metadata/message');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const LARGE_ROWS = 8 << 20; // of 8 bytes each: 64 MiB
const ENDING = new Uint8Array([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);

// ---- Arrow's streams as messages of Flight ----

/** [{data_header, data_body}] of a table: its schema, and a message for each batch. */
function messagesOf(table) {
  const bytes = arrow.tableToIPC(table, 'stream');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const messages = [];
  for (let at = 0; at + 8 <= bytes.length;) {
    const headerBytes = view.getInt32(at + 4, true);
    if (headerBytes === 0) break;
    const header = bytes.subarray(at + 8, at + 8 + headerBytes);
    const bodyBytes = Number(Message.decode(header).bodyLength);
    const body = bytes.subarray(at + 8 + headerBytes, at + 8 + headerBytes + bodyBytes);
    const message = {data_header: Buffer.from(header)};
    if (bodyBytes > 0) message.data_body = Buffer.from(body);
    messages.push(message);
    at += 8 + headerBytes + bodyBytes;
  }
  return messages;
}

function tableOf(messages) {
  const pieces = [];
  for (const {data_header: header, data_body: body} of messages) {
    const prefix = new DataView(new ArrayBuffer(8));
    prefix.setUint32(0, 0xffffffff, true);
    prefix.setInt32(4, header.length, true);
    pieces.push(new Uint8Array(prefix.buffer), header, body ?? new Uint8Array(0));
  }
  return arrow.tableFromIPC(Buffer.concat([...pieces, ENDING]));
}

function isBatch(message) {
  return message.data_header?.length > 0 &&
      Message.decode(message.data_header).headerType === arrow.MessageHeader.RecordBatch;
}

/** What a relay may send: fields that are empty are left out, as other readers want it. */
function withoutEmpty(message) {
  return Object.fromEntries(Object.entries(message).filter(
      ([, value]) => value != null && value.length !== 0));
}

function service(path) {
  const definition = loader.loadSync(path, {keepCase: true, longs: String, oneofs: true});
  return grpc.loadPackageDefinition(definition).arrow.flight.protocol.FlightService;
}

// ---- server ----

function serve(proto, port) {
  const flights = new Map();
  const missing = {code: grpc.status.NOT_FOUND, details: 'NOT_FOUND: there is no such flight'};
  const server = new grpc.Server();
  let own = '';
  server.addService(service(proto).service, {
    DoPut(call) {
      const kept = [];
      let name;
      call.on('data', (message) => {
        name ??= message.flight_descriptor?.path?.[0];
        if (message.data_header?.length > 0) kept.push(message);
        if (isBatch(message)) call.write({app_metadata: message.app_metadata});
      });
      call.on('end', () => {
        flights.set(name, kept);
        call.end();
      });
    },
    GetFlightInfo(call, done) {
      const [name] = call.request.path;
      if (!flights.has(name)) return done(missing);
      done(null, {
        flight_descriptor: call.request,
        endpoint: [{ticket: {ticket: Buffer.from(name)}, location: [{uri: own}]}],
        total_records: -1,
        total_bytes: -1,
      });
    },
    DoGet(call) {
      const kept = flights.get(call.request.ticket.toString());
      if (kept === undefined) return call.emit('error', missing);
      let number = 0;
      for (const {data_header, data_body} of kept) {
        const message = {data_header, data_body};
        if (isBatch(message)) message.app_metadata = Buffer.from(String(number++));
        call.write(withoutEmpty(message));
      }
      call.end();
    },
    DoExchange(call) {
      call.on('data', ({data_header, data_body, app_metadata}) => {
        const message = withoutEmpty({data_header, data_body, app_metadata});
        if (Object.keys(message).length > 0) call.write(message);
      });
      call.on('end', () => call.end());
    },
  });
  server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error, bound) => {
    if (error) throw error;
    own = `grpc+tcp://127.0.0.1:${bound}`;
    console.log(`Server listening on localhost:${bound}`);
  });
}

// ---- client ----

/** All messages of a call, or the error that it ended with. */
function all(call) {
  return new Promise((resolve, reject) => {
    const messages = [];
    call.on('data', (message) => messages.push(message));
    call.on('end', () => resolve(messages));
    call.on('error', reject);
  });
}

function next(call) {
  return new Promise((resolve, reject) => {
    call.once('data', resolve);
    call.once('error', reject);
    call.once('end', () => reject(new Error('there is no message')));
  });
}

/** Each batch with its number; waits for each acknowledgement. */
async function put(client, name, table) {
  const call = client.DoPut();
  let number = 0;
  for (const message of messagesOf(table)) {
    if (!isBatch(message)) message.flight_descriptor = {type: 'PATH', path: [name]};
    else message.app_metadata = Buffer.from(String(number));
    call.write(message);
    if (!isBatch(message)) continue;
    assert.equal((await next(call)).app_metadata.toString(), String(number++));
  }
  const rest = all(call);
  call.end();
  assert.deepEqual(await rest, []);
}

function info(client, name) {
  return new Promise((resolve, reject) => client.GetFlightInfo(
      {type: 'PATH', path: [name]}, (error, found) => error ? reject(error) : resolve(found)));
}

async function get(client, name) {
  const found = await info(client, name);
  assert.equal(found.endpoint.length, 1);
  return all(client.DoGet(found.endpoint[0].ticket));
}

function tableOfBatches(lengths) {
  let first = 0;
  const batches = lengths.flatMap((length) => {
    const numbers = Array.from({length}, (_, i) => first + i);
    first += length;
    return arrow.tableFromArrays({
      number: Int32Array.from(numbers),
      text: arrow.vectorFromArray(numbers.map((i) => i % 7 ? `row ${i}` : null), new arrow.Utf8()),
    }).batches;
  });
  return new arrow.Table(batches);
}

function assertSame(found, wanted) {
  assert.equal(found.numRows, wanted.numRows);
  assert.deepEqual(found.batches.map((batch) => batch.numRows),
                   wanted.batches.map((batch) => batch.numRows));
  for (const name of ['number', 'text']) {
    assert.deepEqual([...found.getChild(name)], [...wanted.getChild(name)]);
  }
}

async function call(proto, port) {
  const client = new (service(proto))(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  const table = tableOfBatches([17, 1, 2000]);
  await put(client, 'node', table);
  const messages = await get(client, 'node');
  assertSame(tableOf(messages), table);
  assert.deepEqual(messages.filter(isBatch).map((m) => m.app_metadata.toString()), ['0', '1', '2']);

  await assert.rejects(info(client, 'none'), (error) =>
    error.code === grpc.status.NOT_FOUND && error.details.includes('NOT_FOUND'));

  const large = arrow.tableFromArrays({value: Float64Array.from({length: LARGE_ROWS}, (_, i) => i)});
  await put(client, 'node large', large);
  const parts = await get(client, 'node large');
  assert.ok(parts.length > 16, `${parts.length} messages of 64 MiB`);
  const back = tableOf(parts).getChild('value');
  assert.equal(back.length, LARGE_ROWS);
  for (let i = 0, at = 0; i < back.data.length; ++i) {
    for (const value of back.data[i].values) assert.equal(value, at++);
  }

  const exchange = client.DoExchange();
  exchange.write({flight_descriptor: {type: 'CMD', cmd: Buffer.from('echo')}});
  const sent = messagesOf(table);
  const returned = all(exchange);
  for (const message of sent) exchange.write(message);
  exchange.end();
  assertSame(tableOf(await returned), table);

  const cancelled = client.DoGet({ticket: Buffer.from('node large')});
  await next(cancelled);
  const ended = all(cancelled);
  cancelled.cancel();
  await assert.rejects(ended, (error) => error.code === grpc.status.CANCELLED);
  assertSame(tableOf(await get(client, 'node')), table);
  client.close();
}

function main([proto, role, ...flags]) {
  const port = flags.join(' ').split(/[= ]/).pop();
  if (role === 'server') return serve(proto, port);
  call(proto, port).catch((error) => {
    console.error(error);
    process.exit(1);
  });
}

module.exports = {all, messagesOf, service, tableOf};
if (require.main === module) main(process.argv.slice(2));
