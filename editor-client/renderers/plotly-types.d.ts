/** The part of plotly.js that is used here. */
declare module 'plotly.js-dist-min' {
  const Plotly: { newPlot(place: HTMLElement, figure: object): Promise<unknown>; purge(place: HTMLElement): void };
  export default Plotly;
}
