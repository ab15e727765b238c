"""Errors of two models over several seeds: python tools/compare_errors.py DIR [DIR ...]

Each DIR holds what tools/analyze_errors.py --compare wrote for one seed. Prints a Markdown table:
for each measure and region the means of both models, and the difference with its 95 % interval
over the seeds (Student's, of paired differences).
"""

from mmseg_pacbal.apps.commands import run

if __name__ == '__main__':
    run('compare_errors')
