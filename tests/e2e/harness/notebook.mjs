// Notebook files for the stories: written before, read after.
// Guarantees: nbformat 4.5 with cell ids. Leaves out: anything but code cells.
import { readFileSync, writeFileSync } from 'node:fs';

const kernels = {
  python3: { kernelspec: { name: 'python3', display_name: 'Python 3 (ipykernel)', language: 'python' }, language_info: { name: 'python' } },
};

/** `cells`: code by cell id, in order. */
export function writeNotebook(path, cells, kernel = 'python3') {
  const list = Object.entries(cells).map(([id, source]) => ({
    cell_type: 'code',
    id,
    metadata: {},
    execution_count: null,
    outputs: [],
    source: source.split(/(?<=\n)/),
  }));
  writeFileSync(path, `${JSON.stringify({ cells: list, metadata: kernels[kernel] ?? {}, nbformat: 4, nbformat_minor: 5 }, null, 1)}\n`);
}

const joined = (value) => (Array.isArray(value) ? value.join('') : (value ?? ''));

/** The cells of a saved notebook by id, with what they say. */
export function readNotebook(path) {
  const { cells } = JSON.parse(readFileSync(path, 'utf8'));
  return Object.fromEntries(cells.map((cell) => [cell.id, readCell(cell)]));
}

function readCell(cell) {
  const outputs = cell.outputs ?? [];
  const stream = (name) =>
    outputs
      .filter((output) => output.output_type === 'stream' && output.name === name)
      .map((output) => joined(output.text))
      .join('');
  return {
    source: joined(cell.source),
    count: cell.execution_count ?? null,
    outputs,
    stdout: stream('stdout'),
    stderr: stream('stderr'),
    error: outputs.find((output) => output.output_type === 'error') ?? null,
    data: (type) => outputs.filter((output) => output.data?.[type] !== undefined).map((output) => joined(output.data[type])),
  };
}

/** What is wrong with lines that should be `line 0` … `line <count-1>`, each once and in order; empty where nothing is. */
export function wrongLines(text, count) {
  const lines = text.split('\n').filter(Boolean);
  const wrong = [];
  for (let index = 0; index < Math.max(lines.length, count); index += 1) {
    if (lines[index] !== `line ${index}`) wrong.push(`${index}: ${lines[index] ?? 'nothing'}`);
  }
  return wrong.slice(0, 5);
}
