"""Do two checkouts give the same bits? Eight runs with each, one after the other, then every file is compared

    python benchmarks/same_bits.py ../before . [--out FOLDER]
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SMALL = '--arch_type fc1 --linear_prune_ratio 0.35 --end_iter 3 --sparsity 0.8'
CONV = '--arch_type conv3 --conv_prune_ratio 0.4 --end_iter 3 --max_cycles 2'
RUNS = {
    'colt': f'prune {CONV} --evaluate each',
    'imp': f'prune {CONV} --prune_type lth --optimizer sgd --lr 0.05',
    'matched': 'prune --match colt',
    'random': f'prune {SMALL} --partition 3 --partition_by random --overlap 2 --prune_strategy local --bias',
    'rewound': f'prune {CONV} --rewind 1ep --crop 1 --flip --rotate 10',
    'controls': f'prune {SMALL} --controls reinit,shuffle,random --evaluate each',
    'transfer': 'transfer --from controls --part1 A --part2 B --optimizer sgd',
    'bf16': f'prune {CONV} --precision bf16 --batchnorm_prune_ratio 0.1'}
CALL = 'import sys; from colt import cli; sys.exit(getattr(cli, "colt_" + sys.argv[1])(sys.argv[2:]))'


def execute(checkout, out):
    "The eight runs, made by the package in a checkout"
    for name, line in RUNS.items():
        command = [sys.executable, '-c', CALL, *line.split(), '--name', name, '--out', str(out), '--threads', '1']
        environment = os.environ | {'PYTHONPATH': str(checkout.resolve()), 'OMP_NUM_THREADS': '1'}
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, cwd=out.parent, check=True)


def lines_of(path):
    "The lines of `cycles.jsonl`, but for how long it took"
    def timeless(found): return {k: v for k, v in found.items() if k not in ('seconds', 'digest')} # a digest has the seconds in it
    return [json.loads(line, object_hook=timeless) for line in path.read_text().splitlines()]


def differing(before, after):
    "Names of files that differ, or that only one of two runs has"
    names = {str(p.relative_to(run)) for run in (before, after) for p in run.rglob('*.safetensors')}
    found = [name for name in sorted(names) if not same_bytes(before/name, after/name)]
    if lines_of(before/'cycles.jsonl') != lines_of(after/'cycles.jsonl'): found.append('cycles.jsonl')
    return found, len(names)


def same_bytes(a, b): return a.is_file() and b.is_file() and a.read_bytes() == b.read_bytes()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('checkouts', nargs=2, type=Path)
    p.add_argument('--out', type=Path)
    args = p.parse_args()
    top = args.out or Path(tempfile.mkdtemp())
    outs = [top/'before', top/'after']
    for checkout, out in zip(args.checkouts, outs, strict=True):
        out.mkdir(parents=True)
        execute(checkout, out)
    wrong = 0
    for name in RUNS:
        found, n = differing(outs[0]/name, outs[1]/name)
        wrong += len(found)
        print(f'{name:<10}{n:>3} tensor files, {len(lines_of(outs[1]/name/"cycles.jsonl"))} lines: {", ".join(found) or "the same bits"}')
    return 1 if wrong else 0


if __name__ == '__main__': sys.exit(main())
