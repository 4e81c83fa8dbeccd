/**
 * What every webview's script needs of the page and of VS Code. Whatever is shown is set as text, never as markup: labels, names and
 * previews are anybody's words.
 */

interface VsCode {
  postMessage(message: unknown): void;
  getState(): unknown;
  setState(state: unknown): void;
}

declare function acquireVsCodeApi(): VsCode;

/** May be called once a page. */
export const vscode = (): VsCode => acquireVsCodeApi();

export interface Made {
  readonly class?: string;
  readonly text?: string;
  readonly children?: readonly Node[];
  readonly attributes?: Readonly<Record<string, string>>;
}

export function make<K extends keyof HTMLElementTagNameMap>(name: K, made: Made = {}): HTMLElementTagNameMap[K] {
  const element = document.createElement(name);
  fill(element, made);
  return element;
}

export function makeSvg<K extends keyof SVGElementTagNameMap>(name: K, made: Made = {}): SVGElementTagNameMap[K] {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  fill(element, made);
  return element;
}

function fill(element: Element, made: Made): void {
  if (made.class !== undefined) element.setAttribute('class', made.class);
  for (const [name, value] of Object.entries(made.attributes ?? {})) element.setAttribute(name, value);
  if (made.text !== undefined) element.textContent = made.text;
  if (made.children) element.append(...made.children);
}
