#!/usr/bin/env python3
"""Measures `dewpoint sync` on an estate from a file and prints one JSON line.

    python3 tests/tools/bench.py --binary PATH [--resources 100000] [--keep DIR]

Three syncs into an SQLite ledger and a local CMDB: cold, unchanged, and with 1 % of the resources changed. For each: wall and CPU
seconds, and the peak resident set of the process in MiB. Three relations a resource. Nothing is timed that is not printed.
"""

import json
import os
import pathlib
import random
import tempfile

import measuring

REGIONS = ["eu-west-1", "eu-central-1", "us-east-1", "us-west-2", "ap-southeast-1"]
TAKEN_AT = "2026-10-01T00:00:00Z"


def account(i):
    return str(100000000000 + i % 20)


def arn(i, what, native):
    return f"aws:arn:aws:ec2:{REGIONS[i % len(REGIONS)]}:{account(i)}:{what}/{native}"


def write(path, resources, changed):
    """Half instances, a quarter interfaces, a quarter volumes, and one security group for every hundred of them."""
    rng = random.Random(7)
    groups = max(1, resources // 100)
    instances = (resources - groups) // 2
    others = resources - groups - instances
    receipts = {}

    def resource(i, kind, what, native, **fields):
        place = (account(i), REGIONS[i % len(REGIONS)], kind)
        receipts[place] = receipts.get(place, 0) + 1
        return {
            "key": arn(i, what, native), "kind": kind, "provider": "aws", "native_id": native, "account": place[0], "region": place[1],
            "name": f"{kind}-{i}", "created_at": "2026-01-01T00:00:00Z", "observed_at": TAKEN_AT, **fields,
        }

    with open(path, "w", encoding="utf-8") as out:
        out.write('{"schema_version":1,"taken_at":"%s","resources":[\n' % TAKEN_AT)
        first = True

        def emit(value):
            nonlocal first
            out.write(("" if first else ",\n") + json.dumps(value, separators=(",", ":")))
            first = False

        for g in range(groups):
            emit(resource(g, "security_group", "security-group", f"sg-{g:08x}", tags={}, attributes={"rules": [], "description": "bench"}))
        for i in range(instances):
            size = "m7i.xlarge" if changed and i % 50 == 0 else "m7i.large"
            emit(resource(
                i, "instance", "instance", f"i-{i:08x}", state="running",
                tags={"env": "prod", "owner": f"team-{i % 40}", "service": f"shop-{i % 200}", "Name": f"instance-{i}"},
                attributes={
                    "size": size, "vcpus": 2, "memory_mib": 8192, "purchase": "on_demand", "image": "ami-0123456789abcdef0", "os_family": "linux",
                    "architecture": "x86_64", "zone": REGIONS[i % len(REGIONS)] + "a", "launched_at": "2026-01-01T00:00:00Z", "tenancy": "default",
                    "private_addresses": [f"10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}"], "public_addresses": [], "macs": [],
                },
            ))
        for i in range(others):
            kind, what, prefix = ("network_interface", "network-interface", "eni") if i % 2 else ("volume", "volume", "vol")
            emit(resource(i % max(1, instances), kind, what, f"{prefix}-{i:08x}", tags={"env": "prod"},
                          attributes={"zone": REGIONS[i % len(REGIONS)] + "a"}))
        out.write('],"relations":[\n')
        first = True
        seen = set()

        def relate(kind, a, b):
            if (kind, a, b) not in seen:
                seen.add((kind, a, b))
                emit({"type": kind, "from": a, "to": b, "attributes": {}})

        for i in range(instances):
            me = arn(i, "instance", f"i-{i:08x}")
            for _ in range(4):
                g = rng.randrange(groups)
                relate("protected_by", me, arn(g, "security-group", f"sg-{g:08x}"))
        for i in range(others):
            kind, what, prefix = ("network_interface", "network-interface", "eni") if i % 2 else ("volume", "volume", "vol")
            j = i % max(1, instances)
            me = arn(j, what, f"{prefix}-{i:08x}")
            relate("attached_to", me, arn(j, "instance", f"i-{j:08x}"))
            g = rng.randrange(groups)
            relate("protected_by", me, arn(g, "security-group", f"sg-{g:08x}"))
        relations = len(seen)
        out.write('],"receipts":[\n')
        first = True
        for (acc, region, kind), count in sorted(receipts.items()):
            emit({"source": "bench", "provider": "aws", "account": acc, "region": region, "kind": kind, "outcome": "complete", "count": count})
        out.write("]}\n")
    return relations


def sync(binary, folder):
    return measuring.sync(binary, folder, "cmdb")[1]


def main():
    parser = measuring.parser(__doc__)
    parser.add_argument("--binary", required=True, type=lambda text: pathlib.Path(text).resolve())
    parser.add_argument("--resources", type=int, default=100000)
    parser.add_argument("--keep", type=pathlib.Path, help="work in this folder and leave it there")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.keep or pathlib.Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "dewpoint.yaml").write_text(
            "ledger: sqlite://dewpoint.db\n"
            "sources:\n  - { name: bench, kind: file, path: inventory.json }\n"
            "targets:\n  - { name: cmdb, kind: local, path: cmdb.db }\n"
        )
        relations = write(folder / "inventory.json", args.resources, changed=False)
        result = {"resources": args.resources, "relations": relations, "cores": os.cpu_count()}
        result["cold"] = sync(args.binary, folder)
        result["unchanged"] = sync(args.binary, folder)
        write(folder / "inventory.json", args.resources, changed=True)
        result["changed_1_percent"] = sync(args.binary, folder)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
