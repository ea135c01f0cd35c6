"""A configuration is proposed, tried, kept and rolled back, with the power cut at each operation."""

import json

from cut_flash import every_cut, mounted
from node import store
from node.trial import Trial
from node_trial.files import NEW, OLD

count = 0
blank, _, _ = mounted(None, lambda: store.replace("/flash/config.json", OLD))


def started():
    trial = Trial("/flash")
    path = trial.begin()
    with open(path, "rb") as file:
        return trial, file.read()


def propose():
    Trial("/flash").propose(NEW)


def keep():
    trial, config = started()
    if trial.running:  # a flash that fails at the start puts nothing on trial
        assert config == NEW
        trial.accept()


def check(cut):
    trial, config = started()
    assert config in (OLD, NEW), cut
    if trial.running:
        trial, config = started()  # it did not come online
        assert config == OLD and trial.rejected and not trial.running, cut
    settled = config
    for _ in range(2):
        trial, config = started()
        assert config == settled and not trial.running, cut
    trial.propose(NEW)  # and the next try succeeds
    trial, config = started()
    assert config == NEW and trial.running, cut
    trial.accept()
    assert started()[1] == NEW, cut


count += every_cut(blank, propose, check)
proposed, _, _ = mounted(blank, propose)
count += every_cut(proposed, keep, check)
begun, _, _ = mounted(proposed, started)
count += every_cut(begun, started, check)
kept, _, _ = mounted(proposed, keep)


def back():
    Trial("/flash").back()


count += every_cut(kept, back, check)
print(json.dumps(count))
