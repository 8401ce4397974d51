'use strict';
/* A producer and a consumer of a shuffle, by grpc-js and apache-arrow alone.
 *
 *   node shuffle_peer.js Flight.proto put host:port shuffle first rows
 *   node shuffle_peer.js Flight.proto get host:port shuffle partition
 *
 * put brings rows k = first, first + 1 … in batches; get prints how many rows a partition has, and
 * the sum of their k. */

const arrow = require('apache-arrow');
const grpc = require('@grpc/grpc-js');
const {all, messagesOf, service, tableOf} = require('./flight_peer.js');

const BATCH_ROWS = 1000;

function batch(first, rows) {
  const numbers = Array.from({length: rows}, (_, i) => BigInt(first + i));
  const texts = numbers.map((number) => `row ${number}`);
  return new arrow.Table({
    k: arrow.vectorFromArray(numbers, new arrow.Int64()),
    text: arrow.vectorFromArray(texts, new arrow.Utf8()),
  });
}

async function put(client, name, first, rows) {
  const call = client.DoPut();
  const answers = all(call);
  for (let at = 0; at < rows; at += BATCH_ROWS) {
    const messages = messagesOf(batch(first + at, Math.min(BATCH_ROWS, rows - at)));
    if (at === 0) messages[0].flight_descriptor = {type: 'PATH', path: [name]};
    for (const message of at === 0 ? messages : messages.slice(1)) call.write(message);
  }
  call.end();
  const last = (await answers).at(-1);
  console.log(last.app_metadata.toString());
}

async function get(client, name, partition) {
  const table = tableOf(await all(client.DoGet({ticket: Buffer.from(`${partition}@${name}`)})));
  let sum = 0n;
  for (const number of table.getChild('k')) sum += number;
  console.log(JSON.stringify({rows: table.numRows, sum: Number(sum)}));
}

async function main([proto, what, location, name, first, rows]) {
  const client = new (service(proto))(location, grpc.credentials.createInsecure());
  await (what === 'put' ? put(client, name, Number(first), Number(rows))
                        : get(client, name, first));
  client.close();
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
