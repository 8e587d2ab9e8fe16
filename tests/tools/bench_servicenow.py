#!/usr/bin/env python3
"""Measures `dewpoint sync` from a file into a simulated ServiceNow instance and prints one JSON line.

    cargo build --release -p dewpoint -p dewpoint-servicenow-sim
    python3 tests/tools/bench_servicenow.py --target target/release [--resources 50000] [--limited 5000] [--rate 20] [--keep DIR]

The estate is that of `bench.py`. Three syncs without a limit to speak of: cold, unchanged, and with 1 % of the resources changed. Then a cold one of
`--limited` resources into an instance of its own that lets `--rate` requests a second through, which the configuration knows as well. For each: wall and
CPU seconds, the peak resident set of the process in MiB, the requests and the writes among them, and the simulator's own CPU seconds. `over_limit` is the
wall time over what that many requests take at that rate.
"""

import json
import os
import pathlib
import tempfile

import bench
import measuring

SOURCE = "Dewpoint"


class Simulator(measuring.Simulator):
    """A fresh instance, on a port of its own, until the end of the block."""

    def __init__(self, binary):
        super().__init__([binary, "--data-source", SOURCE])

    def limit(self, per_second, window_s=10):
        instance = self.control("GET", "instance")
        instance["rate_rules"] = [{"limit": per_second * window_s, "window_s": window_s}]
        self.control("PUT", "instance", instance)


def configure(folder, simulator, per_second):
    (folder / "dewpoint.yaml").write_text(
        "ledger: sqlite://dewpoint.db\n"
        "sources:\n  - { name: bench, kind: file, path: inventory.json }\n"
        f"targets:\n  - name: snow\n    kind: servicenow\n    url: {simulator.url}\n"
        "    auth: { basic: { username: integration, password: file:password } }\n"
        f"    rate: {{ requests_per_second: {per_second} }}\n    deadline: 1h\n"
    )
    (folder / "password").write_text("integration-password")


def sync(binary, folder, simulator):
    simulator.control("DELETE", "calls")
    before = simulator.cpu_s()
    said, took = measuring.sync(binary, folder, "snow")
    counters = simulator.control("GET", "counters")
    return took | {
        "simulator_cpu_s": round(simulator.cpu_s() - before, 2),
        "requests": counters["requests"], "writes": counters["writes"], "refused": counters["by_status"].get("429", 0),
        "waited_s": round(said["waited_s"].get("snow", 0.0), 1),
    }


def main():
    parser = measuring.parser(__doc__, "dewpoint and servicenow-sim")
    parser.add_argument("--resources", type=int, default=50000)
    parser.add_argument("--limited", type=int, default=5000)
    parser.add_argument("--rate", type=int, default=20)
    parser.add_argument("--keep", type=pathlib.Path, help="work in this folder and leave it there")
    args = parser.parse_args()
    dewpoint, simulator = args.target / "dewpoint", args.target / "servicenow-sim"
    with tempfile.TemporaryDirectory() as scratch:
        top = args.keep or pathlib.Path(scratch)
        free, limited = top / "free", top / "limited"
        for folder in (free, limited):
            folder.mkdir(parents=True, exist_ok=True)
        result = {"resources": args.resources, "cores": os.cpu_count()}
        result["relations"] = bench.write(free / "inventory.json", args.resources, changed=False)
        with Simulator(simulator) as instance:
            configure(free, instance, 1000)
            result["cold"] = sync(dewpoint, free, instance)
            result["unchanged"] = sync(dewpoint, free, instance)
            bench.write(free / "inventory.json", args.resources, changed=True)
            result["changed_1_percent"] = sync(dewpoint, free, instance)
        if args.limited:
            bench.write(limited / "inventory.json", args.limited, changed=False)
            with Simulator(simulator) as instance:
                instance.limit(args.rate)
                configure(limited, instance, args.rate)
                took = sync(dewpoint, limited, instance)
            alone = took["requests"] / args.rate
            result["limited"] = {"resources": args.limited, "per_second": args.rate, **took, "limit_alone_s": round(alone, 2),
                                 "over_limit": round(took["wall_s"] / alone, 3)}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
