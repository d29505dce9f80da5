// A whole batch by OpenAI's own library for Node.js, as it comes from npm. NODE_PATH says where that is, the argument where the gateway is; what was seen is the last line, as JSON.
globalThis.File ??= require('node:buffer').File; // Node.js 18; the library asks for it
const OpenAI = require('openai');
const { toFile } = OpenAI;

const client = new OpenAI({ baseURL: process.argv[2], apiKey: 'none', maxRetries: 0 });
const seen = {};
const lineOf = (id, model) => JSON.stringify({ custom_id: id, method: 'POST', url: '/v1/chat/completions', body: { model, max_tokens: 4, messages: [{ role: 'user', content: id }] } });
const upload = async (...lines) => client.files.create({ file: await toFile(Buffer.from(lines.join('\n')), 'requests.jsonl'), purpose: 'batch' });
const create = (file, more) => client.batches.create({ input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h', ...more });
const read = async id => id == null ? [] : (await (await client.files.content(id)).text()).split('\n').filter(line => line).map(line => JSON.parse(line));
const ended = async id => {
  for (;;) {
    const batch = await client.batches.retrieve(id);
    if (['completed', 'failed', 'expired', 'cancelled'].includes(batch.status)) return batch;
    await new Promise(resolve => setTimeout(resolve, 50));
  }
};

const run = async () => {
  const input = await upload(lineOf('a', 'quick'), lineOf('b', 'absent'), lineOf('c', 'quick'));
  const created = await create(input, { metadata: { run: '7' }, output_expires_after: { anchor: 'created_at', seconds: 3600 } });
  seen.created = [created.object, created.status, created.input_file_id === input.id];
  const batch = await ended(created.id);
  seen.ended = [batch.status, batch.metadata.run, batch.request_counts];
  const answers = await read(batch.output_file_id);
  seen.answers = answers.map(line => line.custom_id).sort();
  seen.tokens = answers.map(line => line.response.body.usage.completion_tokens);
  seen.faults = (await read(batch.error_file_id)).map(line => [line.custom_id, line.response.status_code, line.response.body.error.code]);

  const slow = await create(await upload(lineOf('d', 'slow')));
  seen.cancelling = ['cancelling', 'cancelled'].includes((await client.batches.cancel(slow.id)).status);
  seen.cancelled = (await ended(slow.id)).status;

  const faulty = await ended((await create(await upload('{"custom_id": 1}'))).id);
  seen.faulty = [faulty.status, faulty.errors.data[0].line];
  seen.missing = await create({ id: 'file-none' }).catch(error => [error.constructor.name, error.status, error.param]);

  seen.listed = [];
  for await (const one of client.batches.list({ limit: 1 })) seen.listed.push(one.id); // a page each
  seen.listed = JSON.stringify(seen.listed) === JSON.stringify([faulty.id, slow.id, created.id]);
  seen.deleted = (await client.files.delete(input.id)).deleted;
};

run().then(() => console.log(JSON.stringify(seen)), error => { console.error(error); process.exitCode = 1; });
