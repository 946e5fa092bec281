/**
 * `node test/lab/capture/run.ts DIRECTORY NAME…`: has real programs call each other through the running agent, and writes
 * what they offered and answered into files of the form of test/fixtures/sdp/calls. As root; see SOURCES.md there.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dualStackCloud } from '../dual-stack-cloud.ts';
import { Office } from '../office.ts';
import { corpusText, exchangesOf } from './exchanges.ts';
import { type Recipe, recipes } from './recipes.ts';

const [directory = '.', ...names] = process.argv.slice(2);
if (names.length === 0 || names.some((name) => !Object.hasOwn(recipes, name)))
  throw new Error(`expected a directory and some of ${Object.keys(recipes).join(', ')}`);

async function capture(office: Office, name: string, recipe: Recipe): Promise<void> {
  const { titles, callerHost = 'home-phone', calleeHost = 'bob-host' } = recipe;
  const [near, far] = [`${name}-caller`, `${name}-callee`];
  await using caller = await recipe.caller(office, callerHost, near);
  await using callee = await recipe.callee(office, calleeHost, far);
  await using callerWire = await office.lab.capture(callerHost, 'eth0', 'udp');
  await using calleeWire = await office.lab.capture(calleeHost, 'eth0', 'udp');
  await Promise.all([caller.call(far), callee.answer()]);
  await recipe.after?.(caller, callee);
  const exchanges = exchangesOf(await callerWire.stop(), await calleeWire.stop());
  if (exchanges.length !== titles.length)
    throw new Error(`${name}: ${exchanges.length} exchanges, expected ${titles.length}`);
  writeFileSync(join(directory, `${name}.txt`), corpusText(titles, exchanges), 'latin1');
}

await using office = await Office.open({ topology: dualStackCloud });
for (const name of names) {
  try {
    await capture(office, name, recipes[name]!);
  } catch (error) {
    console.error(`${name}: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
}
