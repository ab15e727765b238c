#!/usr/bin/env bash
# Gradio's Tab(render_children=True) leaves what is inside an inactive tab out of the page, as without it.
#
# Versions:  gradio 6.31.0, playwright 1.65.2 with the Chromium on PATH
# Input:     two tabs with a number each, both built with render_children=True, and the same without it
# Expected:  as its docstring says: "the children of this Tab will be rendered on the page (but hidden) when the Tab is
#            visible but inactive"
# Seen:      the number of the second tab is in the page after a click on that tab only, with and without the argument; the
#            files of the front end do not name it
# Matters:   what is entered in the first milliseconds after a click on a tab is lost while its components are built
set -euo pipefail
command -v chromium >/dev/null || { echo 'needs chromium on PATH'; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q gradio==6.31.0 playwright==1.65.2
cd "$folder"
GRADIO_ANALYTICS_ENABLED=False "$folder/venv/bin/python" - <<'PYTHON'
import shutil

import gradio as gr
from playwright.sync_api import sync_playwright


def count(rendered):
    """How many of the second tab's numbers are in the page, before and after a click on it."""
    with gr.Blocks() as page:
        for name in ('first', 'second'):
            with gr.Tab(name, render_children=rendered):
                gr.Number(elem_id=name)
    page.launch(prevent_thread_lock=True, quiet=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which('chromium'), args=['--no-sandbox'])
        tab = browser.new_page()
        tab.goto(page.local_url)
        tab.wait_for_selector('#first')
        tab.wait_for_timeout(3000)
        before = tab.locator('#second').count()
        tab.get_by_role('tab', name='second').click()
        tab.wait_for_selector('#second')
        after = tab.locator('#second').count()
        browser.close()
    page.close()
    return before, after


seen = {rendered: count(rendered) for rendered in (False, True)}
print('render_children: numbers of the second tab before and after a click:', seen)
assert seen == {False: (0, 1), True: (0, 1)}
PYTHON
