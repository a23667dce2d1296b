"""The pipeline's memory: what happened to which artifact, where, when and by whom.

tox is the pipeline's hands: every stage is one environment in ``tox.toml``. This package asks the
gate, lets tox run the stage, times it against its budget and records the result in the ledger.
``python3 -m delivery --help`` lists all of it. It needs Python's standard library and git only.

Its parts: ``ledger`` remembers, ``artifact`` makes and keeps what is delivered, ``pipeline`` runs
the stages and guards them, ``environments`` deploys, ``board`` answers; ``deploy.yml`` with
``roles`` is what Ansible runs.
"""

import sys

if sys.version_info < (3, 11):  # checked here: an older Python cannot even parse the other files
    sys.exit("delivery: this needs Python 3.11 or newer, and runs on %d.%d" % sys.version_info[:2])
