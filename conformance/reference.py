"""The reference as a server: runs `jina export kubernetes` for whoever asks.

A request is a line of JSON on standard input, a response a line on standard output:

    {"files": {"input.yml": "..."}, "env": {"K": "V"}, "args": ["--k8s-namespace", "x"], "folder": "/tmp/corpus"}
    {"files": {"gateway/gateway.yml": "..."}, "error": null, "warnings": ["..."], "images": {"jinahub+docker://X": "..."}}

The first line that it writes says that it is ready: {"jina": "3.34.0"}. jina is imported once; every request runs the
program's own main() in a forked child, so that none sees what another has left behind. `folder` is where the child runs
and where the files of the request are written: jina makes paths absolute against it.

Nothing goes over the network. The Hub is a stand-in that knows every executor but those whose name begins with
"missing"; the look-ups of the newest image and of host names, whose results never reach the output, fail at once.
"""

import gc
import json
import logging
import os
import re
import shutil
import sys
import traceback
import warnings

if os.environ.get("PYTHONHASHSEED") != "0":
    # jina prints sets in its warnings: their order has to be the same every time.
    settings = {"PYTHONHASHSEED": "0", "JINA_HIDE_SURVEY": "1", "NO_VERSION_CHECK": "1", "JINA_OPTOUT_TELEMETRY": "1"}
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **settings})

warnings.simplefilter("ignore")

import jina
import jina.orchestrate.deployments as deployments
import jina.orchestrate.deployments.config.helper as image_helper
import jina.orchestrate.deployments.config.k8s  # noqa: F401: imported before the fork
import jina_cli
import jina_cli.api  # noqa: F401: imported before the fork
import requests
from hubble.executor.hubio import HubIO


class Answers:
    """What a child reports."""

    def __init__(self):
        self.error = None
        self.warnings = set()
        self.images = {}


def one_line(text):
    """A message in one line, without what differs from run to run."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    text = re.sub(r" at 0x[0-9a-f]+", " at 0x…", text)
    text = re.sub(r"Port \[\d+\] is ignored", "Port […] is ignored", text)
    text = re.sub(
        r"(ignored unknown argument: )\[([^\]]*)\]",
        lambda m: m[1] + "[" + ", ".join(sorted(m[2].split(", "))) + "]",
        text,
    )
    return " ".join(text.split())


def stand_ins(answers):
    """Replaces the network and collects the warnings."""

    class Executor:
        def __init__(self, image):
            self.image_name = image

    def fetch_meta(name, tag, *_, secret=None, **__):
        if name.startswith("missing") or "/missing" in name:
            raise RuntimeError(f'No image found for Executor "{name}", tag: {tag}')
        return Executor(f"hub.invalid/{name}:{tag or 'latest'}"), False

    def unreachable(*_, **__):
        raise requests.exceptions.ConnectionError("no network")

    ask_for_image = image_helper.get_image_name

    def get_image_name(uses):
        image = ask_for_image(uses)
        if not uses.startswith("docker:"):
            answers.images[uses] = image
        return image

    def show(message, category, *_, **__):
        if not issubclass(category, (DeprecationWarning, PendingDeprecationWarning)):
            answers.warnings.add(one_line(f"{category.__name__}: {message}"))

    HubIO.fetch_meta = staticmethod(fetch_meta)
    requests.get = requests.post = unreachable
    image_helper.get_image_name = get_image_name
    deployments.host_is_local = lambda host: host in ("localhost", "0.0.0.0", "127.0.0.1")
    warnings.resetwarnings()
    warnings.simplefilter("ignore", DeprecationWarning)
    warnings.showwarning = show
    logging.Logger.warning = lambda _, message, *__, **___: answers.warnings.add(one_line(f"log: {message}"))


def export(request, report):
    """In the child: the whole program, with the environment and the command line of the request."""
    answers = Answers()
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    os.environ.clear()
    os.environ.update(kept)
    os.environ.update(request["env"])
    os.chdir(request["folder"])
    stand_ins(answers)
    sys.argv = ["jina", "export", "kubernetes", "input.yml", "out", *request["args"]]
    try:
        jina_cli.main()
    except SystemExit as end:
        if end.code not in (None, 0):
            sys.stderr.flush()
            with open("stderr", encoding="utf-8", errors="replace") as f:
                lines = [line for line in f if line.strip()]
            answers.error = one_line(f"exit {end.code}: {lines[-1] if lines else ''}")
    except BaseException as problem:
        answers.error = one_line("".join(traceback.format_exception_only(type(problem), problem)))
    with open(report, "w", encoding="utf-8") as f:
        json.dump({"error": answers.error, "warnings": sorted(answers.warnings), "images": answers.images}, f)


def output(folder):
    """The files below a folder, by their relative paths."""
    files = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            with open(path, encoding="utf-8", newline="") as f:
                files[os.path.relpath(path, folder)] = f.read()
    return files


def answer(request):
    """Runs a request in a child and collects what it leaves."""
    folder = request["folder"]
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in request["files"].items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8", newline="") as f:
            f.write(text)
    report = os.path.join(folder, "report.json")
    child = os.fork()
    if child == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            for number, name in ((1, "stdout"), (2, "stderr")):
                os.dup2(os.open(os.path.join(folder, name), os.O_CREAT | os.O_WRONLY, 0o644), number)
            export(request, report)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    if not os.path.exists(report):
        return {"error": "the program died without a message", "files": {}, "warnings": [], "images": {}}
    with open(report, encoding="utf-8") as f:
        result = json.load(f)
    result["files"] = {} if result["error"] else output(os.path.join(folder, "out"))
    shutil.rmtree(folder, ignore_errors=True)
    return result


def main():
    # Whatever the program prints must not get between the responses.
    responses = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    # What is imported stays as it is, so that a child's collector does not copy its pages.
    gc.collect()
    gc.freeze()
    print(json.dumps({"jina": jina.__version__}), file=responses, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=responses, flush=True)


if __name__ == "__main__":
    main()
