"""Examine this machine: ``python -m mmseg_pacbal.doctor [--json FILE]``.

Every op of this package is compared with float64 on every device; a model is trained, resumed and
asked for a prediction; and each fast op is timed against what it replaces.
"""

import argparse
import json
from pathlib import Path

import torch

from . import ops, training
from .examination import examine, facts, pasteable, print_findings, print_fixed

CHECKS = (*ops.CHECKS, *training.CHECKS, *ops.SPEEDS)


def main(args: argparse.Namespace) -> None:
    """Run all checks, print the findings and write them to a file if one is named."""
    known = facts()
    # Some containers switch TF32 on for products, which rounds more than the checks allow for.
    torch.set_float32_matmul_precision('highest')
    print_fixed(known['fixed_by_compat'])
    findings = []
    for finding in examine(CHECKS):  # a line each, since all of them may take two minutes
        print(f'{finding.name} on {finding.device}: {finding.status}', flush=True)
        findings.append(finding)
    print_findings(findings)
    print(f'\nTo paste into a report:\n\n{pasteable(known, findings)}')
    if args.json:
        content = dict(facts=known, findings=[finding._asdict() for finding in findings])
        Path(args.json).write_text(json.dumps(content, indent=1) + '\n')
    if any(finding.status == 'failed' for finding in findings):
        raise SystemExit(1)
