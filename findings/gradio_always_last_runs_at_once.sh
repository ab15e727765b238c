#!/usr/bin/env bash
# Gradio sends an event of trigger_mode='always_last' several times at once when one answer changes several components of a
# tab that was not opened yet.
#
# Versions:  gradio 6.31.0, playwright 1.65.2 with the Chromium on PATH
# Input:     a button whose answer sets three sliders in a tab that was not opened yet; gr.on([the change of each], ...,
#            trigger_mode='always_last') with a function that takes a second
# Expected:  "always_last" allows a second submission after the pending event is complete: one request, and when it is
#            answered one more, with the last values; so it is with sliders in an open tab
# Seen:      three requests within a few milliseconds, before any is answered: [1, 0, 0], [1, 2, 0] and [1, 2, 3]. The guard
#            looks for a pending request before the values are gathered, and marks its own only when it was sent
# Matters:   the server may take them in another order, and then the page ends with what it drew of old values
set -euo pipefail
command -v chromium >/dev/null || { echo 'needs chromium on PATH'; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q gradio==6.31.0 playwright==1.65.2
cd "$folder"
GRADIO_ANALYTICS_ENABLED=False "$folder/venv/bin/python" - <<'PYTHON'
import shutil
import time

import gradio as gr
from playwright.sync_api import sync_playwright

with gr.Blocks() as page:
    button = gr.Button('set', elem_id='set')
    with gr.Tab('open'):
        gr.Number()
    with gr.Tab('not yet opened'):
        sliders = [gr.Slider(0, 9, 0) for _ in range(3)]
    text = gr.Textbox(elem_id='text')

    def answer(*values):
        time.sleep(1)
        return str(values)

    button.click(lambda: (1, 2, 3), None, sliders)
    gr.on([slider.change for slider in sliders], answer, sliders, text, trigger_mode='always_last')

page.launch(prevent_thread_lock=True, quiet=True)
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=shutil.which('chromium'), args=['--no-sandbox'])
    tab = browser.new_page()
    tab.goto(page.local_url)
    tab.wait_for_selector('#set')
    tab.wait_for_timeout(3000)
    sent = []

    def note(request):
        if '/queue/join' in request.url and len(request.post_data_json['data']) == 3:
            sent.append((time.monotonic(), request.post_data_json['data']))

    tab.on('request', note)
    tab.locator('#set').click()
    tab.wait_for_timeout(8000)
    browser.close()
page.close()
values = [each for _, each in sent]
print('requests:', values, 'within', round(sent[-1][0] - sent[0][0], 3), 'seconds')
assert sent[-1][0] - sent[0][0] < 0.5  # before the first of them can be answered
assert values == [[1, 0, 0], [1, 2, 0], [1, 2, 3]]
PYTHON
