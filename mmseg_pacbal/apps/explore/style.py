"""Looks of the page, in Gradio's colours, which are those of light or of dark."""

CSS = """
.gradio-container {max-width: 1500px !important; margin: 0 auto !important;}
#note:not(:has(p)), #problem:not(:has(p)) {display: none;}
.controls {flex-wrap: nowrap; gap: 10px;}
.controls > * {flex: none;}
.controls input[role=combobox] {padding-right: 24px; text-overflow: ellipsis;}
.controls .block {padding-top: 6px; padding-bottom: 6px;}
.explore {--a: #c2540a; --b: #1f6fb4; --soft: #71717a; font-size: 14px;
  line-height: 1.4; display: flex; flex-direction: column; gap: 18px;}
.dark .explore {--a: #ff9a4d; --b: #6cb6f5; --soft: #a1a1aa;}
.explore figure {margin: 0; min-width: 0;}
.explore h3, .explore h4 {margin: 0 0 6px; font-size: 15px; font-weight: 500;}
.explore section > :first-child b {padding: 0 6px; border-radius: 4px;
  color: var(--body-background-fill);}
.explore .A > :first-child > b {background: var(--a);}
.explore .B > :first-child > b {background: var(--b);}
.explore figcaption {font-size: 13px; color: var(--soft); margin-bottom: 3px; align-self: end;}
.explore .pair {display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); column-gap: 22px;}
/* Captions, pictures and bars of neighbours share rows, so that pictures are level. */
.explore .top {display: grid; grid: repeat(3, auto) / auto-flow minmax(0, 240px); gap: 0 14px;}
.explore .card, .explore .picture {display: grid; grid-template-rows: subgrid;}
.explore .picture {grid-row: span 3;}
.explore .weight ~ .picture {margin-top: 12px;}
.explore .card {grid-row: span 11; grid-template-columns: repeat(2, minmax(0, 1fr));
  column-gap: 14px;}
.explore .card > :not(.edges, .weighted) {grid-column: span 2;}
.explore .frame {position: relative; cursor: crosshair; line-height: 0; overflow: hidden;
  border-radius: 4px;}
.explore .frame img {width: 100%; height: auto; margin: 0; border-radius: 0;}
.explore .frame::after {content: ''; position: absolute; inset: 0; background: #fff; opacity: .85;
  mix-blend-mode: difference;}
.explore.row .frame::after {top: var(--cut); bottom: auto; height: 1px;}
.explore.column .frame::after {left: var(--cut); right: auto; width: 1px;}
.explore .bar {display: flex; align-items: center; gap: 6px; font-size: 12px; margin-top: 4px;
  color: var(--soft);}
.explore .bar i {flex: 1; height: 7px; border-radius: 3px; background: linear-gradient(to right,
  #000004, #1f0c48, #550f6d, #88226a, #ba3655, #e35933, #f98c0a, #f9c932, #fcffa4);}
.explore dl {display: grid; grid-template-columns: max-content 1fr; gap: 1px 12px;
  margin: 0 0 10px; align-content: start;}
.explore dt {color: var(--soft);}
.explore dd {margin: 0;}
.explore svg {width: 100%; max-width: 500px; stroke-width: 1.5px; fill: none; overflow: visible;}
.explore svg .A {stroke: var(--a); fill: color-mix(in srgb, var(--a) 15%, transparent);}
.explore svg .B {stroke: var(--b); fill: color-mix(in srgb, var(--b) 15%, transparent);}
.explore svg .line {fill: none;}
.explore svg path {stroke: var(--border-color-primary);}
.explore svg text {fill: var(--soft); font-size: 12px; text-anchor: middle;}
.explore svg .left {text-anchor: end; dominant-baseline: middle;}
.explore svg image {image-rendering: pixelated;}
.explore table, .explore tr {border-width: 0 !important;}
.explore tr > * {padding: 2px 8px; text-align: right; font-weight: 400; font-size: 13px;
  border-width: 0 0 1px !important; background: none;}
.explore .on :nth-child(even), .explore .off :nth-child(2n+3) {font-weight: 700;}
.message {margin: 0; font-size: 14px;}
.message.alert {padding: 8px 10px; border-left: 4px solid #dc2626; background: #dc262618;}
@media (min-width: 1000px) {
  .controls {position: sticky; top: 8px; align-self: flex-start; max-height: calc(100vh - 16px);
    overflow-y: auto; max-width: 360px;}
}
@media (max-width: 999px) {
  /* The controls stay at the bottom of the screen, so that their effect is seen above them. */
  .controls {position: fixed !important; bottom: 0; left: 0; right: 0; max-height: 33vh;
    z-index: 1000; overflow-y: auto; padding: 8px 4px; background: var(--body-background-fill);
    border-top: 2px solid var(--border-color-primary);}
  body {padding-bottom: 33vh;}
}
@media (max-width: 700px) {
  .gradio-container {padding-left: 8px !important; padding-right: 8px !important;}
  .explore .pair {column-gap: 10px;}
  .explore .pair + .pair, .explore dl, .explore .card {grid-template-columns: minmax(0, 1fr);}
  .explore .card > :not(.edges, .weighted) {grid-column: auto;}
  .explore dt {font-size: 12px; margin-top: 3px;}
  .explore .weight ~ * {order: 2;}
  .explore .chart + .chart, .explore .offsets + .offsets {margin-top: 14px;}
  .explore dl {order: 1; margin-top: 8px;}
  .explore h3, .explore h4 {font-size: 13px;}
}
"""

# A click on a picture says which row or column it was.
ON_CLICK = """
element.addEventListener('click', event => {
  const frame = event.target.closest('.frame');
  if (!frame) return;
  const box = frame.getBoundingClientRect(), view = frame.closest('.explore');
  const share = view.classList.contains('row') ? (event.clientY - box.top) / box.height
                                               : (event.clientX - box.left) / box.width;
  const last = view.dataset.lines - 1;
  trigger('click', {line: Math.max(0, Math.min(last, Math.floor(share * (last + 1))))});
});
"""
