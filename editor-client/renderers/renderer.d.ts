/** What VS Code's notebooks ask of a renderer, as far as ours use it; and a package that has no types of its own. */
export interface Renderer {
  renderOutputItem(item: { readonly mime: string; json(): unknown }, element: HTMLElement): Promise<void>;
}
