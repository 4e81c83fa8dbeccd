// `npm test`: everything that must hold, from a fresh clone; CI runs just this.
// Guarantees: installs what it needs or fails saying what; never skips; the last line is the sum over all runners.
// Leaves out: benchmarks. KERNEL_KEEPER_STRESS (default 1) scales the counts of the stress tests.
// With names of steps behind it (`npm test -- e2e`), only these and what they need are run.
import { readdirSync, rmSync } from 'node:fs';
import { cpus } from 'node:os';
import { delimiter, join } from 'node:path';
import { chromium, installChromium } from './lib/browser.mjs';
import { extensionBundle, extensionPackage, modules, packages, releaseBinary } from './lib/build.mjs';
import { denoKernel } from './lib/deno.mjs';
import { installEditor } from './lib/editor.mjs';
import { inspector, installInspector } from './lib/inspector.mjs';
import { binary, cache, root, vsix } from './lib/paths.mjs';
import { environment } from './lib/python.mjs';
import { main, run } from './lib/run.mjs';
import { Steps } from './lib/steps.mjs';
import { checkTools } from './lib/tools.mjs';

main(async () => {
  const tools = begin();
  process.chdir(root);
  const steps = new Steps();
  const kernels = join(cache, 'test-python', 'share', 'jupyter') + delimiter + join(cache, 'test-deno', 'share', 'jupyter');
  const env = {
    KERNEL_KEEPER_BINARY: binary,
    KERNEL_KEEPER_TEST_PYTHON: join(cache, 'test-python', 'bin', 'python'),
    KERNEL_KEEPER_TEST_INSPECTOR: inspector,
    KERNEL_KEEPER_STRESS: process.env.KERNEL_KEEPER_STRESS || '1',
    JUPYTER_PATH: kernels,
    CARGO_TERM_COLOR: 'never',
    FORCE_COLOR: '0',
  };
  const tool =
    (name, ...args) =>
    (options) =>
      run(process.execPath, [join(modules, name), ...args], { ...options, env });
  const cargo =
    (...args) =>
    (options) =>
      run('cargo', args, { ...options, env });
  const unit = async (options) => {
    await run(process.execPath, ['editor-client/esbuild.mjs', '--tests'], { ...options, env });
    const names = readdirSync(join(root, 'dist', 'test'), { recursive: true }).filter((name) => /\.test\.[cm]?js$/.test(name));
    const own = readdirSync(join(root, 'tests', 'scripts')).map((name) => join('tests', 'scripts', name));
    const files = [...names.sort().map((name) => join('dist', 'test', name)), ...own];
    await run(process.execPath, ['--enable-source-maps', '--test', '--test-reporter=spec', ...files], { ...options, env });
  };
  const e2e = (options) => {
    const names = readdirSync(join(root, 'tests', 'e2e')).filter((name) => name.endsWith('.test.mjs'));
    const files = names.sort().map((name) => join('tests', 'e2e', name));
    rmSync(join(root, 'tests', 'e2e', 'shots'), { recursive: true, force: true });
    // The stories mostly wait: two at a time.
    const flags = ['--test', '--test-concurrency=2', '--test-reporter=spec'];
    return run(process.execPath, [...flags, ...files], { ...options, env: { ...env, KERNEL_KEEPER_VSIX: vsix, CHROME_PATH: chromium() } });
  };

  const plan = [
    // What the others need; downloads go on while cargo compiles.
    ['packages', [], packages],
    ['python', [], (options) => environment('test-python', tools.python, 'tests/requirements.txt', options)],
    ['deno', [], denoKernel],
    ['inspector', [], installInspector],
    ['chromium', [], installChromium],
    ['editor', ['packages'], installEditor],
    // Rust. Test code is built quickly, with overflow checks; the binary that it drives is the one that is shipped. Linking that takes
    // one core for minutes, so the other one has the rest; what uses the same folder of cargo's goes one after the other.
    ['format-rust', [], cargo('fmt', '--check')],
    ['binary', ['format-rust'], releaseBinary],
    ['clippy', ['format-rust'], cargo('clippy', '--locked', '--all-targets', '--', '-D', 'warnings')],
    ['rust-built', ['format-rust', 'clippy:done'], cargo('test', '--locked', '--no-run')],
    [
      'rust',
      ['binary', 'rust-built', 'python', 'deno', 'inspector', 'packages'],
      cargo('test', '--locked', '--no-fail-fast'),
      { tests: true },
    ],
    // The extension.
    ['types', ['packages'], tool('typescript/bin/tsc', '--noEmit', '-p', 'editor-client')],
    ['types-webviews', ['packages'], tool('typescript/bin/tsc', '--noEmit', '-p', 'editor-client/webviews')],
    ['eslint', ['types', 'types-webviews'], tool('eslint/bin/eslint.js', '--max-warnings=0', '.')],
    ['prettier', ['eslint'], tool('prettier/bin/prettier.cjs', '--check', '.')],
    ['bundle', ['packages'], extensionBundle],
    ['unit', ['bundle'], unit, { tests: true }], // after the bundle: both write to dist/
    ['vsix', ['binary', 'bundle'], extensionPackage],
    ['e2e', ['vsix', 'editor', 'python', 'chromium', 'rust:done'], e2e, { tests: true }],
  ];

  const wanted = closure(plan, process.argv.slice(2));
  console.log(`${wanted.size} steps on ${cpus().length} cores; logs in .cache/logs`);
  for (const [name, needs, work, options] of plan) {
    if (wanted.has(name)) steps.add(name, needs, work, options);
  }
  process.exit((await steps.end()) ? 0 : 1);
});

/** Checks the tools; the last line is the totals' even when nothing could be begun. */
function begin() {
  try {
    return checkTools();
  } catch (error) {
    console.log(`${error.message}\n\n0 passed, 1 failed`);
    process.exit(1);
  }
}

/** The named steps and what they need; all of them where none is named. */
function closure(plan, names) {
  const byName = new Map(plan.map((step) => [step[0], step]));
  const found = new Set();
  const visit = (name) => {
    if (!byName.has(name)) throw new Error(`no step ${name}; there are ${[...byName.keys()].join(', ')}`);
    if (!found.has(name))
      byName
        .get(name)[1]
        .filter((need) => !need.endsWith(':done'))
        .forEach(visit);
    found.add(name);
  };
  (names.length ? names : [...byName.keys()]).forEach(visit);
  return found;
}
