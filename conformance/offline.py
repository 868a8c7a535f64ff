"""The program jina, with its look-ups of the newest image failing at once: `offline.py export kubernetes flow.yml out`.

The benchmark runs it. What those look-ups find never reaches the output, and without a network they would take most of
the time, so leaving them out is in jina's favour.
"""

import sys

import requests


def unreachable(*_, **__):
    raise requests.exceptions.ConnectionError("no network")


requests.get = requests.post = unreachable

from jina_cli import main

sys.argv[0] = "jina"
main()
