"""What the benchmarks share: a program measured, a simulator beside it, and figures compared."""

import argparse
import json
import os
import pathlib
import ssl
import subprocess
import sys
import time
import urllib.request

# With the packages that the other side of a comparison needs.
PYTHON = os.environ.get("DEWPOINT_TEST_PYTHON", sys.executable)


def parser(description, programs=None):
    """Arguments of a benchmark; with the folder of these programs, if it runs any."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    if programs:
        made.add_argument("--target", required=True, type=lambda text: pathlib.Path(text).resolve(), help=f"folder with {programs}")
    return made


def environment(without, **variables):
    """The variables of this process without those that begin so, and with these; no proxy stands before this machine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(without)}
    return kept | variables | {"NO_PROXY": "127.0.0.1"}


def measured(argv, folder, variables=None):
    """The document that a program prints, and what it took: wall and CPU seconds, and its peak resident set in MiB."""
    with open(folder / "out.json", "w+b") as out:
        began = time.monotonic()
        child = subprocess.Popen([str(part) for part in argv], stdout=out, cwd=folder, env=variables)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read().decode()
    if child.returncode != 0:
        sys.exit(f"{argv[0]} ended with {child.returncode}: {text[:2000]}")
    took = {"wall_s": round(wall, 2), "cpu_s": round(usage.ru_utime + usage.ru_stime, 2), "peak_mib": round(usage.ru_maxrss / 1024)}
    return json.loads(text), took


def sync(binary, folder, target, variables=None):
    """What a sync by the configuration in a folder says, and what it took, with the number of changes at a target."""
    said, took = measured([binary, "sync", "-c", folder.resolve() / "dewpoint.yaml", "--output", "json", "-q"], folder, variables)
    return said, took | {"changes": sum(said["counts"].get(target, {}).values())}


def ratio(one, other):
    """CPU and memory of one over those of another."""
    return {name: round(one[name] / other[name], 3) for name in ("cpu_s", "peak_mib")}


class Simulator:
    """A simulator as a program, for as long as the block. `authority`: the file that it writes its certificate's authority to."""

    def __init__(self, argv, authority=None):
        self.authority = authority
        self.process = subprocess.Popen([str(part) for part in argv], stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()

    def __enter__(self):
        # Whatever proxy the surroundings name, this is no way through it.
        handlers = [urllib.request.ProxyHandler({})]
        if self.authority:
            handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(self.authority))))
        self.opener = urllib.request.build_opener(*handlers)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def control(self, method, path, body=None):
        """What the controls below `/_sim/` answer."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_sim/{path}", data, {"Content-Type": "application/json"}, method=method)
        with self.opener.open(request) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def cpu_s(self):
        """CPU seconds that it has used."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
