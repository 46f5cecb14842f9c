"A training in another process: the same bits from no more than a recipe and a place"
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import torch

from colt.cycle import everything
from colt.executors import FitJob, fit_job, in_turn
from colt.plans import plan
from colt.recipe import Recipe

RECIPE = Recipe.default('lenet5', end_iter=2, partition=3, partition_by='random', optimizer='sgd', lr=.02)


def test_jobs_give_the_same_bits_in_another_process():
    p = plan(RECIPE)
    mask = {n: torch.rand(m.shape, generator=torch.Generator().manual_seed(1)) < .5 for n, m in everything(p.net, p.prunable).items()}
    jobs = [FitJob(partition.name, RECIPE, p.init, mask, 1, p.origin) for partition in p.partitions[:2]]
    here = in_turn(p.net, p.partitions)(jobs)
    with ProcessPoolExecutor(1, get_context('spawn')) as workers: there = list(workers.map(fit_job, jobs))
    for a, b in zip(here, there, strict=True):
        assert all(torch.equal(v, b.weights[n]) for n, v in a.weights.items())
        assert replace(a, weights={}, seconds=0.) == replace(b, weights={}, seconds=0.)
