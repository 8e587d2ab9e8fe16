#!/usr/bin/env python3
"""Measures a pull of some Azure subscriptions from the simulator, and the same listings by Azure's Python SDKs, and prints one JSON line.

    cargo build --release -p dewpoint-azure --example pull -p dewpoint-azure-sim --bin azure-sim
    python3 tests/tools/bench_azure.py --target target/release [--vms 20000] [--subscriptions 5]

Needs Azure's SDKs; `tests/run.sh --services-only --` has a Python with them in DEWPOINT_TEST_PYTHON. For the pull (`pull`) and for the SDKs
reading the same listings to their last page, once keeping what they read as the pull does (`sdks`) and once throwing each page away
(`sdks_streaming`): wall and CPU seconds, the peak resident set in MiB, and calls to Azure Resource Manager in all, as the simulator counts them.
`calls_each` has the pull's by subscription and by thousand machines, `ratio` its CPU and memory over those of the SDKs that keep. The SDKs make
one call at a time, the pull several.
"""

import json
import os
import pathlib
import sys
import tempfile

import measuring

TENANT, CLIENT = "7a0b54c1-2f0e-4a53-9d1c-5f6a1e0b9c01", "5c1d7f0a-93b4-4e0f-8a77-20e6d1f3a902"
SECRET = "sim~secret/of+the=client"

# What Dewpoint lists of each subscription, but for what the principal may read, of which these SDKs know nothing.
SDKS = """
import json, os, sys
from azure.identity import ClientSecretCredential
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.network import NetworkManagementClient
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.resource.subscriptions import SubscriptionClient
url, trust, how = sys.argv[1], {"connection_verify": sys.argv[2]}, sys.argv[3]
application = [os.environ["AZURE_" + name] for name in ("TENANT_ID", "CLIENT_ID", "CLIENT_SECRET")]
credential = ClientSecretCredential(*application, authority=url, disable_instance_discovery=True, **trust)
def client(kind, *arguments):
    return kind(credential, *arguments, base_url=url, credential_scopes=["https://management.azure.com/.default"], **trust)
kept, read, machines = [], 0, 0
def take(listed):
    global read
    count = 0
    for item in listed:
        count += 1
        if how == "keep":
            kept.append(item)
        yield item
    read += count
def drain(listed):
    return sum(1 for _ in take(listed))
subscriptions = client(SubscriptionClient)
for found in list(take(subscriptions.subscriptions.list())):
    id = found.subscription_id
    compute, network = client(ComputeManagementClient, id), client(NetworkManagementClient, id)
    drain(subscriptions.subscriptions.list_locations(id))
    drain(client(ResourceManagementClient, id).resource_groups.list())
    places = set()
    for vm in take(compute.virtual_machines.list_all()):
        machines += 1
        places.add(vm.location)
    drain(compute.virtual_machines.list_all(status_only="true"))
    sets = [(one.id.split("/")[4], one.name, one.orchestration_mode) for one in take(compute.virtual_machine_scale_sets.list_all())]
    for group, name, mode in sets:
        if mode == "Flexible":
            continue
        machines += drain(compute.virtual_machine_scale_set_vms.list(group, name, expand="instanceView"))
        nics = take(network.network_interfaces.list_virtual_machine_scale_set_network_interfaces(group, name))
        if sum(one.public_ip_address is not None for nic in nics for one in nic.ip_configurations):
            drain(network.public_ip_addresses.list_virtual_machine_scale_set_public_ip_addresses(group, name))
    for listed in (compute.disks.list(), network.network_interfaces.list_all(), network.virtual_networks.list_all(),
                   network.network_security_groups.list_all(), network.public_ip_addresses.list_all(), network.load_balancers.list_all(),
                   network.application_gateways.list_all()):
        drain(listed)
    for place in places:
        drain(compute.resource_skus.list(filter=f"location eq '{place}'"))
print(json.dumps({"items": read, "machines": machines}))
"""


class Simulator(measuring.Simulator):
    def __init__(self, args, folder):
        authority = folder / "authority.pem"
        argv = [args.target / "azure-sim", "--tls", "--ca-file", authority, "--vms", args.vms, "--subscriptions", args.subscriptions]
        super().__init__(argv, authority)

    def calls(self):
        """Calls since the last time, tokens apart; every one has to have been answered as asked."""
        counters = self.control("GET", "counters")
        self.control("DELETE", "calls")
        refused = {status: count for status, count in counters["by_status"].items() if status != "200"}
        if refused:
            sys.exit(f"calls were refused: {refused}")
        return sum(count for operation, count in counters["by_operation"].items() if operation != "token")


def main():
    parser = measuring.parser(__doc__, "azure-sim and examples/pull")
    parser.add_argument("--vms", type=int, default=20000)
    parser.add_argument("--subscriptions", type=int, default=5)
    args = parser.parse_args()
    environment = measuring.environment(
        ("AZURE_", "REQUESTS_CA", "CURL_CA"), AZURE_TENANT_ID=TENANT, AZURE_CLIENT_ID=CLIENT, AZURE_CLIENT_SECRET=SECRET)
    result = {"vms": args.vms, "subscriptions": args.subscriptions, "cores": os.cpu_count(), "load_before": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        with Simulator(args, folder) as simulator:
            said, took = measuring.measured([args.target / "examples" / "pull", simulator.url, simulator.authority], folder, environment)
            if said["incomplete"]:
                sys.exit(f"the pull is not whole: {said}")
            calls = simulator.calls()
            result["pull"] = {
                **took, "calls": calls, "waited_s": round(said["waited_s"], 2), "resources": said["resources"], "relations": said["relations"]}
            for name, how in (("sdks", "keep"), ("sdks_streaming", "stream")):
                argv = [measuring.PYTHON, "-c", SDKS, simulator.url, simulator.authority, how]
                said, took = measuring.measured(argv, folder, environment)
                if said["machines"] != args.vms:
                    sys.exit(f"the SDKs list {said['machines']} machines")
                result[name] = {**took, "calls": simulator.calls(), "items": said["items"]}
    result["calls_each"] = {
        "subscription": round(calls / args.subscriptions, 1), "thousand_vms": round(calls / args.vms * 1000, 1) if args.vms else None}
    result["ratio"] = measuring.ratio(result["pull"], result["sdks"])
    print(json.dumps(result))


if __name__ == "__main__":
    main()
