/**
 * What an execution puts out, as text for a language model. Pure.
 * Guarantees: of long output begin and end are kept, and what lies between is counted; memory is bounded by that.
 * Leaves out: pictures, which the notebook shows.
 */
import { StreamText } from '../outputs/stream';
import { cut, unordered } from '../plain';
import type { EventBody, JsonValue, Output } from '../protocol/types';

const LIMIT = 20_000;
const PROMPT = 300;

export class OutputText {
  private text = empty();
  private isToBeCleared = false;

  apply(event: EventBody): void {
    switch (event.kind) {
      case 'output':
        this.output(event.output);
        break;
      case 'clearOutput':
        if (event.wait) this.isToBeCleared = true;
        else this.text = empty();
        break;
      case 'inputRequest':
        this.line(`[it asks for input: ${cut(unordered(event.prompt), PROMPT)}]`);
        break;
      case 'gap':
        this.line('[some output may be missing here]');
        break;
      default:
        break;
    }
  }

  toString(): string {
    return this.text.toString();
  }

  private output(output: Output): void {
    if (this.isToBeCleared) this.text = empty();
    this.isToBeCleared = false;
    switch (output.output_type) {
      case 'stream':
        this.text.push(unordered(output.text));
        break;
      case 'error':
        this.line(unordered(output.traceback.length > 0 ? output.traceback.join('\n') : `${output.ename}: ${output.evalue}`));
        break;
      default:
        this.line(unordered(textOf(output.data)));
    }
  }

  private line(text: string): void {
    const present = this.text.toString();
    this.text.push(`${present === '' || present.endsWith('\n') ? '' : '\n'}${text}\n`);
  }
}

function empty(): StreamText {
  return new StreamText(LIMIT, (left) => `\n[… ${left} characters are left out here; the notebook and its history have all of it …]\n`);
}

/** The plain text of a bundle, and what else it is. */
function textOf(data: JsonValue): string {
  if (data === null || typeof data !== 'object' || Array.isArray(data)) return '';
  const plain = data['text/plain'] ?? data['text/markdown'];
  const picture = Object.keys(data).find((mime) => mime.startsWith('image/'));
  const shown = picture === undefined ? '' : `[${picture}: the notebook shows it]`;
  return [typeof plain === 'string' ? plain : '', shown].filter((part) => part !== '').join('\n');
}
