"""Looks of the page; every colour is one for light and one for dark."""

CSS = """
.gradio-container {max-width: 1500px !important; margin: 0 auto !important;}
#note:not(:has(p)), #problem:not(:has(p)) {display: none;}
.controls {flex-wrap: nowrap; gap: 10px;}
.controls > * {flex: none;}
.controls .block {padding-top: 6px; padding-bottom: 6px;}
.explore, .message {--a: #c2540a; --b: #1f6fb4; --line: #d4d4d8; --soft: #71717a;}
.dark .explore, .dark .message {--a: #ff9a4d; --b: #6cb6f5; --line: #3f3f46; --soft: #a1a1aa;}
.explore {display: flex; flex-direction: column; gap: 18px; font-size: 14px; line-height: 1.4;}
.explore figure {margin: 0; min-width: 0;}
.explore h3, .explore h4 {margin: 0 0 6px; font-size: 15px; font-weight: 500;}
.explore h3 b, .explore h4 b {display: inline-block; min-width: 22px; padding: 0 6px;
  border-radius: 4px; color: #fff; text-align: center;}
.dark .explore h3 b, .dark .explore h4 b {color: #18181b;}
.explore .A h3 b, .explore .A h4 b {background: var(--a);}
.explore .B h3 b, .explore .B h4 b {background: var(--b);}
.explore figcaption {font-size: 13px; color: var(--soft); margin-bottom: 3px;}
.explore .top {display: flex; flex-wrap: wrap; align-items: flex-end; gap: 14px;}
.explore .top .picture {flex: 0 1 240px;}
.explore .pair {display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 22px;}
.explore .small {display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 14px;
  margin-top: 12px; align-items: end;}
.explore .frame {position: relative; cursor: crosshair; line-height: 0; overflow: hidden;
  border-radius: 4px;}
.explore .frame img {width: 100%; height: auto; margin: 0; border-radius: 0;}
.explore .cut {position: absolute; background: #fff; opacity: .85; mix-blend-mode: difference;}
.explore .cut.row {left: 0; right: 0; height: 1px;}
.explore .cut.column {top: 0; bottom: 0; width: 1px;}
.explore .bar {display: flex; align-items: center; gap: 6px; font-size: 12px; margin-top: 4px;
  color: var(--soft);}
.explore .bar i {flex: 1; height: 7px; border-radius: 3px; background: linear-gradient(to right,
  #000004, #1f0c48, #550f6d, #88226a, #ba3655, #e35933, #f98c0a, #f9c932, #fcffa4);}
.explore dl {display: grid; grid-template-columns: max-content 1fr; gap: 1px 12px;
  margin: 0 0 10px;}
.explore dt {color: var(--soft);}
.explore dd {margin: 0;}
.explore .plot {position: relative; height: 190px; margin-left: 44px;
  border-bottom: 1px solid var(--soft);}
.explore .plot svg {width: 100%; height: 100%; display: block;}
.explore .left span {position: absolute; right: 100%; margin-right: 6px; font-size: 12px;
  transform: translateY(50%); color: var(--soft); white-space: nowrap;}
.explore .below {position: relative; height: 18px; margin-left: 44px;}
.explore .below span {position: absolute; transform: translateX(-50%); font-size: 12px;
  color: var(--soft);}
.explore .axis {margin-left: 44px; text-align: center; font-size: 12px; color: var(--soft);}
.explore .strip {height: 10px; width: calc(100% - 44px); margin: 0 0 0 44px; border-radius: 0;
  image-rendering: pixelated;}
.explore polyline {fill: none; stroke-width: 1.6px; vector-effect: non-scaling-stroke;}
.explore polyline.A {stroke: var(--a);}
.explore polyline.B {stroke: var(--b);}
.explore polygon {opacity: .18;}
.explore polygon.A {fill: var(--a);}
.explore polygon.B {fill: var(--b);}
.explore .grid {stroke: var(--line); vector-effect: non-scaling-stroke;}
.explore .scroll {overflow-x: auto;}
.explore table {border-collapse: collapse; font-size: 13px; margin: 6px 0 0;
  border: 0 !important;}
.explore th, .explore td {padding: 2px 9px; text-align: right; border: 0; font-weight: 400;
  border-bottom: 1px solid var(--line); background: none;}
.explore .scroll * {border-width: 0 0 1px !important;}
.explore tr.current th, .explore tr.current td {font-weight: 700;}
.message {margin: 0; font-size: 14px;}
.message.alert {padding: 8px 10px; border-left: 4px solid #dc2626; background: #dc262618;}
@media (min-width: 1000px) {
  .explore .top {align-items: flex-start;}
  .controls {position: sticky; top: 8px; align-self: flex-start; max-height: calc(100vh - 16px);
    overflow-y: auto; max-width: 360px;}
}
@media (max-width: 999px) {
  /* The controls stay at the bottom of the screen, so that their effect is seen above them. */
  .controls {position: fixed !important; bottom: 0; left: 0; right: 0; z-index: 20;
    max-height: 44vh; overflow-y: auto; padding: 8px 4px; background: var(--body-background-fill);
    border-top: 2px solid var(--border-color-primary);}
  body {padding-bottom: 44vh;}
  .explore .top .picture {flex: 1 1 30%;}
  .explore .pair {gap: 10px;}
}
@media (max-width: 700px) {
  .gradio-container {padding-left: 8px !important; padding-right: 8px !important;}
  .explore .pair + .pair, .explore dl {grid-template-columns: minmax(0, 1fr);}
  .explore dt {font-size: 12px; margin-top: 3px;}
  .explore .card {display: flex; flex-direction: column;}
  .explore dl {order: 2; margin-top: 8px;}
  .explore .small {order: 3;}
  .explore h3, .explore h4 {font-size: 13px;}
  .explore .small {grid-template-columns: minmax(0, 1fr);}
}
"""

# A click on a picture says where, as shares of its width and height.
ON_CLICK = """
element.addEventListener('click', event => {
  const frame = event.target.closest('.frame');
  if (!frame) return;
  const box = frame.getBoundingClientRect();
  trigger('click', {x: (event.clientX - box.left) / box.width,
                    y: (event.clientY - box.top) / box.height});
});
"""
