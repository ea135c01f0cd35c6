"""`python -m quaver.cli`: the same as the `quaver` command."""

import sys

from quaver.cli import main

sys.exit(main())
