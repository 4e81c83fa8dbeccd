/** The part of plotly.js that is used here; the package has no types. */
declare module 'plotly.js-dist-min' {
  const Plotly: { newPlot(place: HTMLElement, data: readonly unknown[], layout: object, config: object): Promise<unknown> };
  export default Plotly;
}
