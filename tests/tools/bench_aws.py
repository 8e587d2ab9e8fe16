#!/usr/bin/env python3
"""Measures a pull of one AWS region from the simulator, and the same listings by boto3, and prints one JSON line.

    cargo build --release -p dewpoint -p dewpoint-aws-sim && cargo build --release -p dewpoint-aws --example pull
    python3 tests/tools/bench_aws.py --target target/release [--instances 20000] [--groups 2000]

Needs boto3; `tests/run.sh --services-only --` has a Python with it in DEWPOINT_TEST_PYTHON. For each of the pull alone (`pull`), a whole first
`dewpoint sync` into an SQLite ledger and a local CMDB (`sync`), a second one (`sync_again`), and boto3 reading the same listings to their last page,
once keeping what it read as the pull does (`boto3`) and once throwing each page away (`boto3_streaming`): wall and CPU seconds, and the peak resident
set in MiB. `ratio` is the pull's CPU and memory over those of boto3 that keeps.
"""

import json
import os
import pathlib
import sys
import tempfile

import measuring

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


def main():
    parser = measuring.parser(__doc__, "dewpoint, aws-sim and examples/pull")
    parser.add_argument("--instances", type=int, default=20000)
    parser.add_argument("--groups", type=int, default=2000)
    args = parser.parse_args()
    environment = measuring.environment(
        "AWS_", AWS_ACCESS_KEY_ID=f"AKIA{ACCOUNT:0>16}", AWS_SECRET_ACCESS_KEY=f"secret/of+{ACCOUNT}", AWS_EC2_METADATA_DISABLED="true")
    simulator = [args.target / "aws-sim", "--instances", args.instances, "--groups", args.groups, "--account", ACCOUNT, "--region", REGION]
    result = {"instances": args.instances, "groups": args.groups, "cores": os.cpu_count()}
    with measuring.Simulator(simulator) as aws, tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        (folder / "dewpoint.yaml").write_text(
            "ledger: sqlite://dewpoint.db\n"
            f"sources:\n  - {{ name: aws, kind: aws, regions: [{REGION}], endpoint_url: \"{aws.url}\" }}\n"
            "targets:\n  - { name: cmdb, kind: local, path: cmdb.db }\n"
            "lifecycle: { defaults: { min_age: 0s } }\n")
        said, took = measuring.measured([args.target / "examples" / "pull", aws.url, REGION], folder, environment)
        if said["incomplete"]:
            sys.exit(f"the pull is not whole: {said}")
        result["pull"] = {**took, "resources": said["resources"], "relations": said["relations"]}
        for name in ("sync", "sync_again"):
            _, result[name] = measuring.sync(args.target / "dewpoint", folder, "cmdb", environment)
        for name, how in (("boto3", "keep"), ("boto3_streaming", "stream")):
            said, took = measuring.measured([measuring.PYTHON, "-c", BOTO3, aws.url, REGION, how], folder, environment)
            result[name] = {**took, "items": said["items"]}
    result["ratio"] = measuring.ratio(result["pull"], result["boto3"])
    print(json.dumps(result))


if __name__ == "__main__":
    main()
