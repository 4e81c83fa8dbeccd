import assert from 'node:assert/strict';
import { test } from 'node:test';
import { safeFigure } from '../renderers/safe-figure';

test('of what a figure says about how it is shown, a short list is kept', () => {
  const address = 'https://example.org/';
  const hostile = {
    ...{ plotlyServerURL: address, showSendToCloud: true, showEditInChartStudio: true, topojsonURL: address, mapboxAccessToken: 'pk.x' },
    ...{ showLink: true, linkText: 'x', sendData: true, locales: {}, setBackground: 'x', logging: 2, responsive: true, constructor: true },
  };
  const harmless = { displaylogo: false, displayModeBar: 'hover', scrollZoom: true, modeBarButtonsToAdd: ['drawline'] };
  const wrong = { staticPlot: 'yes', modeBarButtonsToRemove: [{ click: 'x' }], locale: {} };
  assert.deepEqual(safeFigure({ config: { ...hostile, ...wrong, ...harmless } }), {
    ...{ data: [], layout: {}, frames: [] },
    config: { ...harmless, responsive: false },
  });
});

test('frames come along', () => {
  const frames = [{ name: 'one', data: [{ y: [1, 2] }] }];
  assert.deepEqual(safeFigure({ data: [{ y: [1] }], frames }).frames, frames);
});

test('a figure names no address that would be loaded from, wherever it could stand', () => {
  const addresses = [
    'https://example.org/',
    '//example.org/',
    ' ht\ntps:example.org',
    '\\\\example.org',
    'mapbox://styles/x',
    'HTTP://example.org',
  ];
  for (const address of addresses) {
    const images = [{ source: address }];
    const { data, layout, frames } = safeFigure({
      data: [{ type: 'choropleth', geojson: address }],
      layout: {
        images,
        map: { style: address, layers: [{ source: [address] }] },
        mapbox: { style: { sources: { a: { tiles: [address], url: address } }, sprite: address, glyphs: address } },
        template: { layout: { images }, data: { choroplethmap: [{ geojson: address }] } },
        updatemenus: [{ buttons: [{ args: [{ 'images[0].source': address }] }, { args2: ['images[0].source', address] }] }],
      },
      frames: [{ layout: { images: [{ source: address }], 'images[0].source': address } }],
    });
    assert.ok(!JSON.stringify({ data, layout, frames }).includes(JSON.stringify(address)), address);
  }
});

test('what is no address, or is not loaded from, stays', () => {
  const figure = () => ({
    data: [{ type: 'choroplethmap', geojson: { type: 'FeatureCollection', features: [{ id: 'a:b' }] }, text: ['https://example.org/'] }],
    layout: { title: { text: '//' }, images: [{ source: 'data:image/png;base64,AAAA' }], map: { style: 'open-street-map' } },
    frames: [],
  });
  assert.deepEqual(safeFigure(figure()), { ...figure(), config: { responsive: false } });
});

test('what is no figure is none', () => {
  for (const given of ['text', null, 1, []]) assert.throws(() => safeFigure(given), /not a figure/);
});
