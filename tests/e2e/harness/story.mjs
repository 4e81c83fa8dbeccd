// A story: steps that follow each other in one run, each a test of Node's own runner.
// Guarantees: a picture after every step; after a failed step the rest fails at once instead of waiting. Leaves out: retries.
import { after, before, describe, it } from 'node:test';
import { Run } from './run.mjs';
import { patience } from './wait.mjs';

/** `steps`: title → what is done and seen, given the run. */
export function story(name, title, steps) {
  describe(title, () => {
    let run = null;
    let failed = null;
    before(async () => {
      run = await Run.begin(name);
    });
    let number = 0;
    for (const [step, work] of Object.entries(steps)) {
      number += 1;
      const shot = `${number}-${step}`.slice(0, 60);
      it(step, { timeout: 5 * patience }, async () => {
        if (failed) throw new Error(`"${failed}" failed before`);
        try {
          await work(run);
          await run.shot(shot);
        } catch (error) {
          failed = step;
          await run.shot(`${shot}-FAILED`);
          error.stack += `\n${await run.evidence()}`;
          throw error;
        }
      });
    }
    after(() => run?.end(failed !== null));
  });
}
