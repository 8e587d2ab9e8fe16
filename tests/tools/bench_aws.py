#!/usr/bin/env python3
"""Measures a pull of one AWS region from the simulator, and the same listings by boto3, and prints one JSON line.

    cargo build --release -p dewpoint -p dewpoint-aws-sim && cargo build --release -p dewpoint-aws --example pull
    python3 tests/tools/bench_aws.py --target target/release [--instances 20000] [--groups 2000]

Needs boto3; `tests/run.sh --services-only --` has a Python with it in DEWPOINT_TEST_PYTHON. For each of the pull alone (`pull`), a whole first
`dewpoint sync` into an SQLite ledger and a local CMDB (`sync`), a second one (`sync_again`), and boto3 reading the same listings to their last page,
once keeping what it read as the pull does (`boto3`) and once throwing each page away (`boto3_streaming`): wall and CPU seconds, and the peak resident
set in MiB. `ratio` is the pull's CPU and memory over those of boto3 that keeps.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ACCOUNT, REGION = "111111111111", "eu-west-1"

# What Dewpoint lists of a region. Without pages where the action has none.
BOTO3 = """
import boto3, sys
session = boto3.session.Session(region_name=sys.argv[2])
def client(service):
    return session.client(service, endpoint_url=sys.argv[1])
kept = []
def take(items):
    if sys.argv[3] == "keep":
        kept.append(items)
    return len(items)
def pages(client, call, name, **arguments):
    return sum(take(page[name]) for page in client.get_paginator(call).paginate(**arguments))
ec2, elb, classic, scaling = client("ec2"), client("elbv2"), client("elb"), client("autoscaling")
thousand = {"PaginationConfig": {"PageSize": 1000}}
read = len(ec2.describe_regions()["Regions"]) + len(ec2.describe_availability_zones()["AvailabilityZones"]) + len(ec2.describe_addresses()["Addresses"])
types = set()
for page in ec2.get_paginator("describe_instances").paginate(**thousand):
    for reservation in page["Reservations"]:
        read += take(reservation["Instances"])
        types |= {instance["InstanceType"] for instance in reservation["Instances"]}
types = sorted(types)
for at in range(0, len(types), 100):
    read += len(ec2.describe_instance_types(InstanceTypes=types[at:at + 100])["InstanceTypes"])
for call, name in (("describe_network_interfaces", "NetworkInterfaces"), ("describe_volumes", "Volumes"), ("describe_security_groups", "SecurityGroups"),
                   ("describe_vpcs", "Vpcs"), ("describe_subnets", "Subnets")):
    read += pages(ec2, call, name, **thousand)
read += pages(elb, "describe_load_balancers", "LoadBalancers") + pages(elb, "describe_target_groups", "TargetGroups")
read += pages(classic, "describe_load_balancers", "LoadBalancerDescriptions")
read += pages(scaling, "describe_auto_scaling_groups", "AutoScalingGroups")
print('{"items": %d}' % read)
"""


def measured(argv, folder, environment):
    """The document that a program prints, and what it took."""
    with open(folder / "out.json", "w+b") as out:
        began = time.monotonic()
        child = subprocess.Popen([str(part) for part in argv], stdout=out, cwd=folder, env=environment)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read().decode()
    if child.returncode != 0:
        sys.exit(f"{argv[0]} ended with {child.returncode}: {text[:2000]}")
    took = {"wall_s": round(wall, 2), "cpu_s": round(usage.ru_utime + usage.ru_stime, 2), "peak_mib": round(usage.ru_maxrss / 1024)}
    return json.loads(text), took


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", required=True, type=lambda text: pathlib.Path(text).resolve(), help="folder with dewpoint, aws-sim and examples/pull")
    parser.add_argument("--instances", type=int, default=20000)
    parser.add_argument("--groups", type=int, default=2000)
    args = parser.parse_args()
    python = os.environ.get("DEWPOINT_TEST_PYTHON", sys.executable)
    simulator = subprocess.Popen(
        [args.target / "aws-sim", "--instances", str(args.instances), "--groups", str(args.groups), "--account", ACCOUNT, "--region", REGION],
        stdout=subprocess.PIPE, text=True)
    try:
        endpoint = simulator.stdout.readline().strip()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment |= {
            "AWS_ACCESS_KEY_ID": f"AKIA{ACCOUNT:0>16}", "AWS_SECRET_ACCESS_KEY": f"secret/of+{ACCOUNT}", "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
        }
        result = {"instances": args.instances, "groups": args.groups, "cores": os.cpu_count()}
        with tempfile.TemporaryDirectory() as scratch:
            folder = pathlib.Path(scratch)
            (folder / "dewpoint.yaml").write_text(
                "ledger: sqlite://dewpoint.db\n"
                f"sources:\n  - {{ name: aws, kind: aws, regions: [{REGION}], endpoint_url: \"{endpoint}\" }}\n"
                "targets:\n  - { name: cmdb, kind: local, path: cmdb.db }\n"
                "lifecycle: { defaults: { min_age: 0s } }\n")
            said, took = measured([args.target / "examples" / "pull", endpoint, REGION], folder, environment)
            if said["incomplete"]:
                sys.exit(f"the pull is not whole: {said}")
            result["pull"] = {**took, "resources": said["resources"], "relations": said["relations"]}
            for name in ("sync", "sync_again"):
                said, took = measured([args.target / "dewpoint", "sync", "--output", "json", "-q"], folder, environment)
                result[name] = {**took, "changes": sum(said["counts"].get("cmdb", {}).values())}
            for name, how in (("boto3", "keep"), ("boto3_streaming", "stream")):
                said, took = measured([python, "-c", BOTO3, endpoint, REGION, how], folder, environment)
                result[name] = {**took, "items": said["items"]}
        pull, boto3 = result["pull"], result["boto3"]
        result["ratio"] = {name: round(pull[name] / boto3[name], 3) for name in ("cpu_s", "peak_mib")}
    finally:
        simulator.kill()
        simulator.wait()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
