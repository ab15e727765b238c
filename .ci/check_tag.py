"""Refuse to publish under a wrong version: python .ci/check_tag.py v1.0.0

The tag must be `v` and the version of the package, which CITATION.cff must have too and
CHANGELOG.md must have a dated section for.
"""

import argparse
import re
import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def problems(tag: str, root: Path = ROOT) -> list[str]:
    """What is wrong with a tag, a sentence each; nothing if it may be published."""
    version = runpy.run_path(str(root / 'mmseg_pacbal' / 'version.py'))['__version__']
    citation = re.search(r'^version: (.*)$', (root / 'CITATION.cff').read_text(), re.MULTILINE)
    cited = citation[1] if citation else 'missing'
    section = rf'^## {re.escape(version)} - \d{{4}}-\d\d-\d\d$'
    found = []
    if tag != f'v{version}':
        found.append(
            f'the tag must be v{version}, the version in mmseg_pacbal/version.py, not {tag}'
        )
    if cited != version:
        found.append(f'the version in CITATION.cff must be {version}, but is {cited}')
    if not re.search(section, (root / 'CHANGELOG.md').read_text(), re.MULTILINE):
        found.append(f'CHANGELOG.md must have a section "## {version} - YEAR-MONTH-DAY"')
    return found


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description='Refuse to publish under a wrong version')
    parser.add_argument('tag', help='such as v1.0.0')
    found = problems(parser.parse_args().tag)
    sys.exit('\n'.join(f'error: {problem}' for problem in found) or 0)
