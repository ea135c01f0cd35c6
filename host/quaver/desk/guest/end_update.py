"""Ends an update over the air that is under way: who is at the cable decides what runs. Given: kept, names of files.

First the plan, by which boot.py would move files of one version among those of another.
"""

for _name in sorted((n for n in os.listdir("/") if n.startswith("release.")), key=lambda n: n != "release.plan"):
    if _name not in kept:
        os.remove("/" + _name)
