// The Model Context Protocol's own inspector, for the tests: its command line, from npm.
// Guarantees: the version below, complete. Leaves out: running its scripts, which build nothing that the command line needs.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cache } from './paths.mjs';
import { npm, run } from './run.mjs';
import { once } from './stamp.mjs';

const version = '2.12.0';
const folder = join(cache, 'test-inspector');

/** Its program, for node. */
export const inspector = join(folder, 'node_modules', '@modelcontextprotocol', 'inspector', 'clients', 'launcher', 'build', 'index.js');

export async function installInspector(options) {
  await once('test-inspector', `${version} ${folder}`, [inspector], async () => {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
    const install = ['install', '--ignore-scripts', '--no-audit', '--no-fund', `@modelcontextprotocol/inspector@${version}`];
    await run(npm[0], [...npm.slice(1), ...install], { ...options, cwd: folder });
  });
}
