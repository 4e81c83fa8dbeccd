/** What VS Code's notebooks ask of a renderer, as far as ours use it. */
export interface Renderer {
  renderOutputItem(item: { readonly id: string; readonly mime: string; json(): unknown }, element: HTMLElement): Promise<void>;
  /** Without an id: all that it drew. */
  disposeOutputItem(id?: string): void;
}
