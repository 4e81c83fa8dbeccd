import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Loader, loader } from 'vega';
import { formatValue } from 'vega-tooltip';
import { escaped, localLoader, localTooltip, safeChart, safeInputs } from '../renderers/safe-chart';

const context = (name: string) => ({ context: name }) as Parameters<Loader['sanitize']>[1];
const options = (embedOptions: unknown) => (safeChart({ mark: 'bar', usermeta: { embedOptions } }) as { usermeta: object }).usermeta;

test('a chart keeps names among its options, and no option that changes how it is read', () => {
  const hostile = {
    ...{ ast: false, actions: { editor: true }, defaultStyle: ['*{display:none}'], loader: { http: {} }, bind: 'body', patch: 'data:,[]' },
    ...{ config: 'https://example.org/', formatLocale: {}, expressionFunctions: { f: {} }, mode: 'vega', viewClass: {}, tooltip: {} },
  };
  const harmless = { theme: 'dark', renderer: 'canvas', downloadFileName: 'chart' };
  assert.deepEqual(options({ ...hostile, ...harmless }), { embedOptions: harmless });
  const wrong = [{ theme: 'version', renderer: 'webgl', downloadFileName: {} }, { theme: ['dark'] }, 'text', null, [], 1, undefined];
  for (const given of wrong) assert.deepEqual(options(given), { embedOptions: {} });
  assert.deepEqual(safeChart({ mark: 'bar', usermeta: 'text' }), { mark: 'bar', usermeta: { embedOptions: {} } });
});

test('what is no chart is none: text would be the address of one', () => {
  for (const given of ['data:,{}', 'https://example.org/', null, 1, []]) assert.throws(() => safeChart(given), /not a chart/);
});

test('inputs of a chart are plain ones, below the chart, at any depth', () => {
  const bind = { input: 'range', min: 1, max: 2, element: 'body', onfocus: 'alert(1)', autofocus: true, style: 'color: red' };
  const image = { input: 'image', src: 'https://example.org/' };
  const signals = [
    { name: 'a', bind },
    { name: 'b', bind: image },
    { name: 'c', bind: { element: '#other', event: 'input' } },
    { name: 'd' },
  ];
  const plain = [
    { name: 'a', bind: { input: 'range', min: 1, max: 2 } },
    { name: 'b', bind: { input: 'text' } },
    { name: 'c', bind: { input: 'text' } },
    { name: 'd' },
  ];
  const spec = (inputs: unknown) => ({ signals: inputs, marks: [{ type: 'group', signals: inputs }] }) as Parameters<typeof safeInputs>[0];
  assert.deepEqual(safeInputs(spec(signals)), spec(plain));
});

test('a chart loads `data:` alone, and the rest is named', async () => {
  const refused: string[] = [];
  const local = localLoader(loader(), (address) => refused.push(address));
  assert.equal(await local.load('data:,a%2Cb'), 'a,b');
  const remote = ['https://example.org/a.csv', '//example.org/a.csv', 'a.csv', ' https://example.org/', 'file:///etc/hostname', 'blob:x'];
  for (const address of remote) {
    await assert.rejects(local.load(address), /nothing from the network/);
    await assert.rejects(local.sanitize(address, context('image')), /nothing from the network/);
  }
  assert.deepEqual(
    refused,
    remote.flatMap((address) => [address, address]),
  );
  assert.equal((await local.sanitize('https://example.org/', context('href'))).href, 'https://example.org/');
  await assert.rejects(local.sanitize('javascript:alert(1)', context('href')), /invalid URI/);
});

test('a tooltip is text, and shows no image of the network', () => {
  const shown = (value: unknown) => formatValue(localTooltip(value), escaped, 2, 'https://base.example/');
  assert.doesNotMatch(shown({ image: 'https://example.org/"x' }), /<img/);
  assert.doesNotMatch(shown({ image: 'data:" onerror="alert(1)' }), /<img/);
  assert.doesNotMatch(shown({ image: 'data:image/png," onerror="alert(1)' }), /" onerror/);
  assert.match(shown({ image: 'data:image/png;base64,AAAA' }), /<img src="data:image\/png;base64,AAAA">/);
  assert.match(shown({ title: '<b>', a: 1 }), /&lt;b&gt;/);
});
