// A run of many steps that wait for each other: what can go on side by side does.
// Guarantees: a failed step fails the run and whatever needs it; nothing is skipped silently; totals are what the runners reported.
// Leaves out: what the steps do.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { logs } from './paths.mjs';

/** Sums of what cargo's and Node's runners print. A test that was skipped or ignored counts as failed: none may be. */
export function totals(text) {
  const sum = { passed: 0, failed: 0 };
  for (const [, passed, failed, ignored] of text.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/gm)) {
    sum.passed += Number(passed);
    sum.failed += Number(failed) + Number(ignored);
  }
  for (const [, what, count] of text.matchAll(/^(?:ℹ|#) (pass|fail|cancelled|skipped|todo) (\d+)$/gm)) {
    sum[what === 'pass' ? 'passed' : 'failed'] += Number(count);
  }
  return sum;
}

export class Steps {
  #steps = new Map();
  #begun = Date.now();
  failures = [];
  passed = 0;
  failed = 0;

  /**
   * Begins `work` once all of `needs` have succeeded; `x:done` among them only waits for x: the two share cores or files, not a
   * result. With `tests`, its log must report at least one test.
   */
  add(name, needs, work, { tests = false } = {}) {
    const promise = this.#run(name, needs, work, tests);
    this.#steps.set(name, promise);
    return promise;
  }

  async #run(name, needs, work, tests) {
    await Promise.all(needs.map((need) => this.#steps.get(need.replace(':done', ''))));
    const missing = [];
    for (const need of needs) {
      if (!need.endsWith(':done') && !(await this.#steps.get(need))) missing.push(need);
    }
    if (missing.length) {
      this.failed += 1;
      console.log(`        ✗ ${name} was not run: it needs ${missing.join(', ')}`);
      return false;
    }
    const begun = Date.now();
    let error = null;
    try {
      await work({ log: name, quietFailure: true });
    } catch (caught) {
      error = caught;
    }
    const file = join(logs, `${name}.log`);
    const text = existsSync(file) && !(error && error.tail === undefined) ? readFileSync(file, 'utf8') : '';
    const sum = tests ? totals(text) : { passed: 0, failed: 0 };
    this.passed += sum.passed;
    this.failed += sum.failed;
    const counted = tests ? `, ${sum.passed} passed, ${sum.failed} failed` : '';
    if (!error && tests && sum.passed === 0) error = new Error('it ran no test');
    if (!error && sum.failed) error = new Error('a test failed or was skipped');
    const seconds = `${((Date.now() - begun) / 1000).toFixed(1)} s`;
    const at = `${((Date.now() - this.#begun) / 1000).toFixed(0)} s`.padStart(6);
    console.log(`${at}  ${error ? '✗' : '✓'} ${name} (${seconds}${counted})`);
    if (!error) return true;
    if (!sum.failed) this.failed += 1;
    this.failures.push({ name, message: cause(error, text) });
    return false;
  }

  /** Waits for all, tells why it failed, and prints the totals as the last line. */
  async end() {
    await Promise.all(this.#steps.values());
    for (const { name, message } of this.failures) console.log(`\n──── ${name} failed; whole log: .cache/logs/${name}.log\n${message}`);
    console.log(`\n${this.passed} passed, ${this.failed} failed`);
    return this.failed === 0;
  }
}

/** The lines that tell why: from the first failure on where a runner marks it, else the last ones. */
function cause(error, text) {
  const lines = (text || error.tail || error.stack || '').trimEnd().split('\n');
  const marked = lines.findLastIndex((line) => /^failures:$|^✖ failing tests:/.test(line.trim()));
  const first = lines.findIndex((line) => /^error(\[|:)|^---- .* stdout ----/.test(line));
  const from = marked >= 0 ? Math.min(marked, first >= 0 ? first : marked) : lines.length - 50;
  return `${lines.slice(Math.max(0, from)).slice(0, 120).join('\n')}\n${error.message.split('\n')[0]}`;
}
