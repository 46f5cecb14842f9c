"""Which learning rate teaches each architecture most, by validation accuracy.

    python benchmarks/defaults.py lenet5 --optimizer adam --lr 0.0005 0.001 0.002 0.004 --epochs 5 --seeds 2

One row for each rate: mean validation accuracy, the spread over the seeds, seconds for one epoch. The test set is not looked at.
"""
import argparse
import statistics
from dataclasses import replace

from colt.data import load
from colt.models import create
from colt.partition import by_class
from colt.recipe import Recipe
from colt.train import fit

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument('arch')
p.add_argument('--dataset', default='fashionmnist')
p.add_argument('--optimizer', default='adam', choices=['adam', 'sgd'])
p.add_argument('--lr', type=float, nargs='+', required=True)
p.add_argument('--epochs', type=int, default=5)
p.add_argument('--seeds', type=int, default=2)
p.add_argument('--batch_size', type=int, default=256)
p.add_argument('--weight_decay', type=float, default=1e-4)
args = p.parse_args()

dataset = load(args.dataset)
whole, = by_class(dataset, 1)
print(f'{args.arch} on {args.dataset}, {args.optimizer}, batch {args.batch_size}, {args.epochs} epochs, {args.seeds} seeds')
for lr in args.lr:
    recipe = Recipe(args.arch, args.dataset, optimizer=args.optimizer, lr=lr, batch_size=args.batch_size, end_iter=args.epochs,
                    weight_decay=args.weight_decay, augmentations=False)
    runs = []
    for s in range(args.seeds):
        try: runs.append(fit(create(args.arch, len(whole.classes), dataset.shape, s), whole, replace(recipe, seed=s)))
        except FloatingPointError as e: print(f'{lr:>8g}  {e}')
    if runs:
        acc = [100*r.valid_accuracy for r in runs]
        seconds = statistics.mean(r.seconds/r.epochs for r in runs)
        print(f'{lr:>8g}  {statistics.mean(acc):6.2f} % (from {min(acc):.2f} to {max(acc):.2f})  {seconds:.1f} s an epoch', flush=True)
