"""The picture of the page: python docs/explore_weights.py [CONFIG | --labels FOLDER]

Opens the page in Debian's Chromium with Playwright and writes docs/images/explore_weights.png.
"""

import argparse
import io
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / 'docs' / 'images' / 'explore_weights.png'


def address_of(server: subprocess.Popen) -> str:
    for line in server.stdout or ():
        if line.startswith('open http'):
            return line.split()[1]
    raise RuntimeError('the page did not open; run tools/explore_weights.py to see why')


def open_page(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_selector('.explore .card.B img', timeout=60_000)
    page.wait_for_timeout(1000)  # transitions


def main(options: list[str]) -> None:
    command = [sys.executable, ROOT / 'tools' / 'explore_weights.py', *options]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        address = address_of(server)
        with sync_playwright() as playwright:
            chromium = shutil.which('chromium') or shutil.which('chromium-browser')
            flags = ['--headless=new', '--no-sandbox', '--disable-gpu']
            browser = playwright.chromium.launch(executable_path=chromium, args=flags)
            page = browser.new_page(viewport=dict(width=1280, height=1010), color_scheme='light')
            open_page(page, address)
            shot = Image.open(io.BytesIO(page.screenshot())).convert('RGB')
            browser.close()
    finally:
        server.terminate()
        server.wait()
    # A palette of the picture's own, dithered, makes a file of half the size.
    shot.quantize(palette=shot.quantize(256)).save(PICTURE, optimize=True)
    print(f'written to {PICTURE}, {PICTURE.stat().st_size / 1000:.0f} kB')


if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    p.add_argument('config', nargs='?', help='as for tools/explore_weights.py')
    p.add_argument('--labels', metavar='FOLDER', help='the same')
    args = p.parse_args()
    main([args.config] if args.config else ['--labels', args.labels] if args.labels else [])
