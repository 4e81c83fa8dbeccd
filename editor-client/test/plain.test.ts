import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cut, languageWord, plain, plainInMarkdown, shown, unordered } from '../src/plain';

/** How VS Code finds links in notifications and prompts, and icons in labels. */
const LINK = /\[([^\]]+)\]\(((?:https?:\/\/|command:|file:)[^)\s]+)(?: (["'])(.+?)(\3))?\)/gi;
const ICON = /(\\)?\$\(([A-Za-z0-9-]+(?:~[A-Za-z]+)?)\)/g;
/** Before it looks for links it makes one line of several. */
const drawn = (text: string) => text.replace(/(\r\n|\n|\r)/gm, ' ').trim();
const isLinked = (text: string) => new RegExp(LINK).test(drawn(text));
const undone = (text: string) => text.replaceAll('\u2060', '');

const LINKS = [
  '[x](command:workbench.action.terminal.sendSequence?%7B%22text%22%3A%22id%22%7D)',
  '[x](https://evil.example/a)',
  '[x](HTTP://evil.example)',
  '[x](file:///etc/passwd)',
  '[x](command:y "the title")',
  "[x](command:y 'the title')",
  '[a [b](command:x)](command:y)',
  '[x](command:y)[x](command:z)',
  '[x\n](command:y)',
  '\\[x\\](command:y)',
  '![x](https://evil.example/pixel.png)',
];

test('no link survives, and what is read stays the same', () => {
  for (const text of LINKS) {
    assert.ok(isLinked(text) || text.startsWith('\\'), `VS Code takes it for a link: ${text}`);
    assert.ok(!isLinked(plain(text)), text);
    assert.equal(undone(plain(text)), text);
    assert.equal(plain(plain(text)), plain(text), 'twice is once');
  }
  for (const text of ['', 'notebook (2).ipynb', '[0](1)', 'Restart the kernel of a.ipynb?', '$x (y)'])
    assert.equal(undone(plain(text)), text);
});

test('nor one that two values make together, wherever it is split', () => {
  for (const text of LINKS.filter(isLinked)) {
    for (let at = 0; at <= text.length; at += 1) {
      assert.ok(!isLinked(plain(`${text.slice(0, at)}${text.slice(at)}`)), text);
      // Made plain by themselves they make none, either, but where the one ends before the bracket of the other.
      const apart = plain(`${plain(text.slice(0, at))}${plain(text.slice(at))}`);
      assert.ok(!isLinked(apart), `${text} at ${at}`);
    }
  }
});

test('a message is shown without links, its detail, too, and its buttons as they are', () => {
  const seen: unknown[] = [];
  const show = shown((...given: unknown[]) => seen.push(...given));
  for (const text of LINKS) show(`Remove ${text}?`, { modal: true, detail: text }, 'Yes');
  for (const one of seen) {
    const text = typeof one === 'string' ? one : (one as { detail: string }).detail;
    assert.ok(!isLinked(text), text);
  }
  assert.equal(seen.filter((one) => one === 'Yes').length, LINKS.length);
});

test('no icon survives', () => {
  for (const text of ['$(sync~spin)', 'a$(error).ipynb', '\\$(pinned)', '$$(x)']) {
    assert.match(text, new RegExp(ICON));
    assert.doesNotMatch(plain(text), new RegExp(ICON));
  }
});

test('in Markdown no address is taken for one', () => {
  for (const text of ['https://evil.example', 'www.evil.example', 'WWW.evil.example', 'me@evil.example', 'ftp://evil.example/x']) {
    assert.doesNotMatch(plainInMarkdown(text), /(https?|ftp):\/\/|www\.|[\w.]@/i);
    assert.equal(undone(plainInMarkdown(text)), text);
  }
});

test('an agent gets the text alone, and not too much of it', () => {
  const cases: [string, string][] = [
    ['\u001b[31mred\u001b[0m\r\n\tnext', 'red\r\n\tnext'],
    ['a\u001b]0;t\u0007b\u001b]8;;http://x\u001b\\c\u009d0;t\u009cd', 'abcd'],
    ['a\u001bP+q\u001b\\b\u001b_x\u001b\\c\u001b^y\u001b\\d\u001bXz\u001b\\e', 'abcde'],
    ['a\u009b2Jb\u0085c\u0000\u0008\u007fd\u202e\u2069e', 'abcde'],
    ['a\u001b(Bb\u001b=c\u001bMd\u001b', 'abcd'],
    ['a\u001b]0;the rest\nis here', 'a0;the rest\nis here'],
    ['ünï 🦀', 'ünï 🦀'],
  ];
  for (const [text, expected] of cases) assert.equal(unordered(text), expected, JSON.stringify(text));
  const begun = performance.now();
  assert.equal(unordered('\u001b]'.repeat(200_000)), '');
  assert.ok(performance.now() - begun < 2_000, 'beginnings without an end are looked for once');
  assert.equal(cut('abcdefgh', 4), 'ab\n[… 4 characters left out …]\ngh');
});

test('a language is one word, or nothing', () => {
  for (const word of ['python', 'c++', 'c#', 'R', 'sas-9.4']) assert.equal(languageWord(word), word);
  for (const word of ['python\n```\n[x](command:y)', 'a b', '```', '']) assert.equal(languageWord(word), '');
});
