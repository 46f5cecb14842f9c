"Real images: Fashion-MNIST, 60,000 and 10,000 of them"
from dataclasses import replace

import pytest
import torch

from colt.cycle import cycles
from colt.models import create
from colt.partition import by_class
from colt.runs import RunFolder
from colt.train import Recipe, evaluate, fit
from colt.transfer import train_ticket


def test_it_is_the_real_one(fashion):
    assert (len(fashion.train), len(fashion.valid), len(fashion.test), fashion.shape) == (54000, 6000, 10000, (1, 28, 28))
    assert fashion.test.y.bincount().tolist() == [1000]*10 and fashion.classes[9] == 'Ankle boot'
    assert (fashion.train.x.double().mean()/255).item() == pytest.approx(.286, abs=1e-3) # the mean that is quoted for this set


@pytest.mark.parametrize('arch, epochs, floor', [('fc1', 3, .86), ('lenet5', 3, .78)])
def test_the_defaults_learn(fashion, arch, epochs, floor):
    whole, = by_class(fashion, 1)
    net = create(arch, 10, fashion.shape)
    run = fit(net, whole, Recipe.default(arch, 'fashionmnist', end_iter=epochs))
    assert run.test_accuracy > floor
    assert evaluate(net, fashion.test, fashion.train.moments)[1] == run.test_accuracy


def test_a_ticket_beats_its_shuffled_and_its_redrawn_self(fashion):
    "The claim of arXiv 1803.03635, with its controls, on the validation images: seeds 0 to 3 gave 1.9 points or more over the nearer one"
    whole, = by_class(fashion, 1)
    recipe = Recipe.default('fc1', 'fashionmnist', prune_type='lth', linear_prune_ratio=.6, end_iter=2, sparsity=.97)
    *_, last = cycles(create('fc1', 10, fashion.shape), [whole], recipe)
    ticket, g = last.ticket(), torch.Generator().manual_seed(0)
    redrawn = replace(ticket, init=create('fc1', 10, fashion.shape, seed=9).state_dict())
    shuffled = replace(ticket, mask={n: m.flatten()[torch.randperm(m.numel(), generator=g)].view_as(m)
                                     for n, m in ticket.mask.items()}, init=last.init)
    found, others = train_ticket(ticket, whole, recipe).valid_accuracy, [train_ticket(t, whole, recipe).valid_accuracy
                                                                         for t in (redrawn, shuffled)]
    assert all(found > other + .01 for other in others), (found, others)


def test_the_command_runs_on_it(prune, tmp_path):
    done = prune('--dataset fashionmnist --arch_type fc1 --end_iter 1 --max_cycles 1 --name run')
    assert done.returncode == 0, done.stderr
    rows = RunFolder(tmp_path/'runs/run').records()
    assert rows[1]['samples_seen'] == 2*54000 and rows[1]['ticket']['test_accuracy'] > .8
