import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Visibility } from '../src/visibility';

test('the sidecar is told once that something is visible, and again after it was started anew', async () => {
  const told: unknown[] = [];
  let ready: () => void = () => undefined;
  const sidecar = {
    state: 'starting',
    log: { debug: () => undefined },
    request: (_method: string, params: unknown) => {
      told.push(params);
      return Promise.resolve({});
    },
    onReady: (listener: () => void) => {
      ready = listener;
      return { dispose: () => undefined };
    },
  };
  const visibility = new Visibility(sidecar as unknown as ConstructorParameters<typeof Visibility>[0]);
  visibility.set('tree', true);
  assert.deepEqual(told, []);
  sidecar.state = 'running';
  ready();
  visibility.set('panel', true);
  visibility.set('tree', false);
  assert.deepEqual(told, [{ visible: true }]);
  visibility.set('panel', false);
  visibility.set('panel', false);
  assert.deepEqual(told, [{ visible: true }, { visible: false }]);
  visibility.set('tree', true);
  ready();
  await Promise.resolve();
  assert.deepEqual(told.slice(2), [{ visible: true }, { visible: true }]);
});
