"""What Azure's Python SDKs make of the simulator: judge.py URL CA_FILE estate|identity|errors.

What they list is compared with the world, as the simulator's control gives it. It exits with the first thing that is not as it should be.
"""

import base64
import datetime
import json
import logging
import os
import sys
import tempfile
import time

import requests
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.identity import (
    CertificateCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.managementgroups import ManagementGroupsMgmtClient
from azure.mgmt.network import NetworkManagementClient
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.resource.subscriptions import SubscriptionClient
from azure.mgmt.resourcegraph import ResourceGraphClient
from azure.mgmt.resourcegraph.models import QueryRequest, QueryRequestOptions

URL, CA_FILE, WHAT = sys.argv[1:4]
SCOPE = "https://management.azure.com/.default"
TENANT = "7a0b54c1-2f0e-4a53-9d1c-5f6a1e0b9c01"
CLIENT = "5c1d7f0a-93b4-4e0f-8a77-20e6d1f3a902"
SECRET = "sim~secret/of+the=client"
TRUST = {"connection_verify": CA_FILE}
# What is refused on purpose is no news.
logging.disable(logging.ERROR)


def expect(found, wanted, what=""):
    if found != wanted:
        if isinstance(found, (set, list)) and isinstance(wanted, (set, list)):
            found, wanted = set(found), set(wanted)
            found, wanted = sorted(found - wanted)[:5], sorted(wanted - found)[:5]
        raise SystemExit(f"{what}: {found!r} is not {wanted!r}")


def refused(error, action, *words):
    try:
        action()
    except error as raised:
        for word in words:
            if word not in str(raised):
                raise SystemExit(f"{word!r} is not in {raised}")
        return raised
    raise SystemExit(f"{error.__name__} did not come")


def control(method, path, body=None):
    answer = requests.request(method, f"{URL}/_sim/{path}", json=body, verify=CA_FILE)
    answer.raise_for_status()
    return answer.json() if answer.content else None


def secret_credential(**kwargs):
    return ClientSecretCredential(
        TENANT, CLIENT, kwargs.pop("secret", SECRET), authority=URL, disable_instance_discovery=True, **TRUST, **kwargs
    )


def client(kind, *arguments, credential=None, **kwargs):
    return kind(credential or secret_credential(), *arguments, base_url=URL, credential_scopes=[SCOPE], **TRUST, **kwargs)


def folded(items):
    ids = [item.id.lower() for item in items]
    expect(len(ids), len(set(ids)), "an item comes twice")
    return set(ids)


def estate():
    world = control("GET", "world")
    subscriptions = client(SubscriptionClient)
    listed = {found.subscription_id for found in subscriptions.subscriptions.list()}
    expect(listed, set(world["subscriptions"]), "subscriptions")
    below = client(ManagementGroupsMgmtClient).management_groups.get_descendants(world["tenant"])
    expect({item.name for item in below if item.type.endswith("/subscriptions")}, listed, "descendants")
    some = client(ManagementGroupsMgmtClient).management_groups.get_descendants("platform")
    wanted = {id for id, held in world["subscriptions"].items() if held["management_group"] == "workloads"}
    expect({item.name for item in some} - {"workloads"}, wanted, "descendants of a group")
    for id in sorted(listed):
        locations = [place.name for place in subscriptions.subscriptions.list_locations(id)]
        expect("westeurope" in locations, True, "locations")
        compare(id, world["subscriptions"][id])
    graph(world)


def compare(id, world):
    compute, network = client(ComputeManagementClient, id), client(NetworkManagementClient, id)
    vms = list(compute.virtual_machines.list_all())
    expect(folded(vms), set(world["vms"]), "machines")
    for vm in vms:
        held = world["vms"][vm.id.lower()]
        found = (vm.vm_id, vm.hardware_profile.vm_size, vm.location, vm.tags or None, vm.priority, vm.zones or [])
        expect(found, (held["vm_id"], held["size"], held["base"]["location"], held["base"]["tags"], held["priority"], held["zones"]))
        group = vm.id.split("/")[4]
        expect(group, group.upper(), "the group of a machine")
        expect([nic.id for nic in vm.network_profile.network_interfaces], held["nics"], "interfaces of a machine")
        expect(vm.storage_profile.os_disk.managed_disk.id, held["os_disk"])
    powers = {}
    for vm in compute.virtual_machines.list_all(status_only="true"):
        codes = [status.code for status in vm.instance_view.statuses if status.code.startswith("PowerState/")]
        powers[vm.id.lower()] = codes
        expect((vm.tags, vm.storage_profile), (None, None), "what statusOnly leaves out")
    expect(powers, {key: [f"PowerState/{vm['power']}"] if vm["power"] else [] for key, vm in world["vms"].items()}, "power states")

    sets = list(compute.virtual_machine_scale_sets.list_all())
    expect(folded(sets), set(world["scale_sets"]), "scale sets")
    for found in sets:
        held = world["scale_sets"][found.id.lower()]
        group = found.id.split("/")[4]
        if held["orchestration"] == "Flexible":
            filter = f"'virtualMachineScaleSet/id' eq '{held['base']['id']}'"
            members = folded(compute.virtual_machines.list_all(filter=filter, expand="instanceView"))
            expect(members, {key for key, vm in world["vms"].items() if vm["scale_set"] == held["base"]["id"]}, "members")
            error = refused(HttpResponseError, lambda: list(compute.virtual_machine_scale_set_vms.list(group, found.name)))
            expect((error.status_code, error.error.code), (400, "InvalidParameter"))
            continue
        instances = list(compute.virtual_machine_scale_set_vms.list(group, found.name, expand="instanceView"))
        expect({one.instance_id: one.vm_id for one in instances}, {key: one["vm_id"] for key, one in held["instances"].items()}, "instances")
        expect(all(one.instance_view.statuses for one in instances), True, "instance views")
        nics = list(network.network_interfaces.list_virtual_machine_scale_set_network_interfaces(group, found.name))
        addresses = {nic.virtual_machine.id.lower(): nic.ip_configurations[0].private_ip_address for nic in nics}
        wanted = {f"{found.id.lower()}/virtualmachines/{key}": one["private_ip"] for key, one in held["instances"].items()}
        expect(addresses, wanted, "interfaces of instances")
        public = network.public_ip_addresses.list_virtual_machine_scale_set_public_ip_addresses(group, found.name)
        expect({one.ip_address for one in public}, {one["public_ip"] for one in held["instances"].values() if one["public_ip"]})

    expect(folded(compute.disks.list()), set(world["disks"]), "disks")
    attached = {disk.id.lower(): disk.managed_by.lower() for disk in compute.disks.list() if disk.managed_by}
    wanted = {vm["os_disk"].lower(): key for key, vm in world["vms"].items()}
    wanted |= {disk["id"].lower(): key for key, vm in world["vms"].items() for disk in vm["data_disks"]}
    expect(attached, wanted, "disks of machines")
    sizes = {sku.name: {one.name: one.value for one in sku.capabilities} for sku in compute.resource_skus.list(filter="location eq 'westeurope'")}
    expect((sizes["Standard_D4s_v5"]["vCPUs"], sizes["Standard_D4s_v5"]["MemoryGB"]), ("4", "16"))

    nics = list(network.network_interfaces.list_all())
    expect(folded(nics), set(world["nics"]), "interfaces")
    for nic in nics:
        held = world["nics"][nic.id.lower()]
        expect([ip.private_ip_address for ip in nic.ip_configurations], [ip["private_ip"] for ip in held["configurations"]])
        expect(nic.id, held["base"]["id"], "the case of an interface's id")
    rules(network, world)
    expect(folded(network.application_security_groups.list_all()), set(world["application_groups"]), "application groups")
    vnets = list(network.virtual_networks.list_all())
    expect(folded(vnets), set(world["vnets"]), "networks")
    for vnet in vnets:
        expect([one.name for one in vnet.subnets], [one["name"] for one in world["vnets"][vnet.id.lower()]["subnets"]])
    public = {one.id.lower(): one.ip_address for one in network.public_ip_addresses.list_all()}
    expect(public, {key: one["ip"] for key, one in world["public_ips"].items()}, "public addresses")
    pools(network, world)
    resource = client(ResourceManagementClient, id)
    expect({group.name for group in resource.resource_groups.list()}, {group["name"] for group in world["groups"].values()}, "groups")
    kinds = ["vms", "scale_sets", "disks", "nics", "security_groups", "application_groups", "vnets", "public_ips", "load_balancers", "gateways"]
    expect(folded(resource.resources.list()), {key for kind in kinds for key in world[kind]}, "all resources")


def rules(network, world):
    groups = list(network.network_security_groups.list_all())
    expect(folded(groups), set(world["security_groups"]), "security groups")
    for group in groups:
        held = world["security_groups"][group.id.lower()]
        found = [(rule.priority, rule.protocol, [rule.source_address_prefix] if rule.source_address_prefix else rule.source_address_prefixes) for rule in group.security_rules]
        expect(found, [(rule["priority"], rule["protocol"], rule["sources"]) for rule in held["rules"]], group.id)
        expect(len(group.default_security_rules), 6)


def pools(network, world):
    by_nic = {}
    for nic in world["nics"].values():
        for ip in nic["configurations"]:
            for pool in ip["pools"] + ip["gateway_pools"]:
                by_nic.setdefault(pool.lower(), set()).add(f"{nic['base']['id']}/ipConfigurations/{ip['name']}".lower())
    for held in world["scale_sets"].values():
        for number in held["instances"]:
            for pool in held["network"]["pools"]:
                tail = f"/virtualMachines/{number}/networkInterfaces/nic-0/ipConfigurations/ip-0"
                by_nic.setdefault(pool.lower(), set()).add((held["base"]["id"] + tail).lower())
    balancers = list(network.load_balancers.list_all())
    expect(folded(balancers), set(world["load_balancers"]), "load balancers")
    gateways = list(network.application_gateways.list_all())
    expect(folded(gateways), set(world["gateways"]), "gateways")
    for holder in balancers + gateways:
        for pool in holder.backend_address_pools:
            members = {one.id.lower() for one in getattr(pool, "backend_ip_configurations", None) or []}
            expect(members, by_nic.pop(pool.id.lower(), set()), pool.id)
    expect(by_nic, {}, "members of pools that are not there")
    for balancer in balancers:
        for pool, held in zip(balancer.backend_address_pools, world["load_balancers"][balancer.id.lower()]["pools"]):
            found = [(one.ip_address, one.virtual_network.id) for one in pool.load_balancer_backend_addresses if one.ip_address]
            expect(found, [(one["ip"], one["vnet"]) for one in held["addresses"]], "members by address")
    names = {address.fqdn for gateway in gateways for pool in gateway.backend_address_pools for address in pool.backend_addresses if address.fqdn}
    expect(len(names), 1, "members by name")


def graph(world):
    client_ = client(ResourceGraphClient)

    def rows(query, **options):
        found, token = [], None
        while True:
            asked = QueryRequestOptions(result_format="objectArray", top=150, skip_token=token, **options)
            answer = client_.resources(QueryRequest(subscriptions=sorted(world["subscriptions"]), query=query, options=asked))
            expect(str(answer.result_truncated).lower().endswith("false"), True, "resultTruncated")
            found += answer.data
            token = answer.skip_token
            if not token:
                expect(len(found), answer.total_records, "rows")
                return found

    held = world["subscriptions"].values()
    query = "Resources | where type in~ ('microsoft.compute/virtualmachines') | project id, tags, power = properties.extended.instanceView.powerState.code | order by id asc"
    found = {row["id"].lower(): row["power"] for row in rows(query)}
    expect(found, {key: vm["power"] and f"PowerState/{vm['power']}" for one in held for key, vm in one["vms"].items()}, "machines of the graph")
    query = "ComputeResources | where type =~ 'microsoft.compute/virtualmachinescalesets/virtualmachines' | project id | order by id asc"
    count = sum(len(one["instances"]) for sub in held for one in sub["scale_sets"].values())
    expect(len(rows(query)), count, "instances of the graph")
    query = "ResourceContainers | project id, name, type | order by id asc"
    expect(len(rows(query)), sum(1 + len(one["groups"]) for one in held), "containers of the graph")
    refused(HttpResponseError, lambda: rows("Resources | where name contains 'x'"), "BadRequest")


def listed(credential):
    return {found.subscription_id for found in client(SubscriptionClient, credential=credential).subscriptions.list()}


def make_certificate():
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "dewpoint")])
    start = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), start, start + datetime.timedelta(days=30))
    certificate = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key, certificate, key.private_bytes(*form).decode() + certificate


def sign(key, claims):
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    part = lambda value: base64.urlsafe_b64encode(value).rstrip(b"=")
    signed = part(json.dumps({"alg": "RS256", "kid": "1"}).encode()) + b"." + part(json.dumps(claims).encode())
    return (signed + b"." + part(key.sign(signed, padding.PKCS1v15(), hashes.SHA256()))).decode()


def identity():
    wanted = set(control("GET", "world")["subscriptions"])
    expect(listed(secret_credential()), wanted, "with a secret")
    known = {"authority": URL, "disable_instance_discovery": True, **TRUST}
    refused(ClientAuthenticationError, lambda: listed(secret_credential(secret="wrong")), "AADSTS7000215")
    other = ClientSecretCredential("00000000-0000-4000-8000-000000000000", CLIENT, SECRET, **known)
    refused((ClientAuthenticationError, ValueError), lambda: listed(other), "double check your tenant")

    key, certificate, bundle = make_certificate()
    issuer_key, issuer_certificate, _ = make_certificate()
    _, _, foreign = make_certificate()
    world = control("GET", "world")
    application = world["applications"][CLIENT]
    application["certificates"] = [certificate]
    federation = {"issuer": "https://issuer.example", "subject": "system:serviceaccount:dewpoint:sync", "certificate": issuer_certificate}
    application["federations"] = [federation]
    application["managed"] = True
    control("PUT", "world", world)

    expect(listed(CertificateCredential(TENANT, CLIENT, certificate_data=bundle.encode(), **known)), wanted, "with a certificate")
    stranger = CertificateCredential(TENANT, CLIENT, certificate_data=foreign.encode(), **known)
    refused(ClientAuthenticationError, lambda: listed(stranger), "AADSTS700027")

    claims = {"iss": federation["issuer"], "sub": federation["subject"], "aud": "api://AzureADTokenExchange"}
    token = sign(issuer_key, {**claims, "iat": int(time.time()), "exp": int(time.time()) + 600})
    expect(listed(ClientAssertionCredential(TENANT, CLIENT, lambda: token, **known)), wanted, "with an assertion")
    with tempfile.NamedTemporaryFile("w", suffix=".jwt") as file:
        file.write(token)
        file.flush()
        workload = WorkloadIdentityCredential(tenant_id=TENANT, client_id=CLIENT, token_file_path=file.name, **known)
        expect(listed(workload), wanted, "with a workload's identity")
    for changed, number in [
        ({"sub": "system:serviceaccount:other:sync"}, "AADSTS700213"),
        ({"iss": "https://other.example"}, "AADSTS700211"),
        ({"aud": "https://other.example"}, "AADSTS700212"),
        ({"exp": int(time.time()) - 3600}, "AADSTS700024"),
    ]:
        token = sign(issuer_key, {**claims, "iat": int(time.time()) - 7200, "exp": int(time.time()) + 600, **changed})
        refused(ClientAuthenticationError, lambda: listed(ClientAssertionCredential(TENANT, CLIENT, lambda: token, **known)), number)
    token = sign(key, {**claims, "iat": int(time.time()), "exp": int(time.time()) + 600})
    refused(ClientAuthenticationError, lambda: listed(ClientAssertionCredential(TENANT, CLIENT, lambda: token, **known)), "AADSTS50013")

    os.environ["AZURE_POD_IDENTITY_AUTHORITY_HOST"] = URL
    expect(listed(ManagedIdentityCredential(**TRUST)), wanted, "with the metadata service")
    expect(listed(ManagedIdentityCredential(client_id=CLIENT, **TRUST)), wanted, "with the metadata service, by client id")
    stranger = ManagedIdentityCredential(client_id=TENANT, **TRUST)
    refused(Exception, lambda: listed(stranger), "Identity not found")
    os.environ["IDENTITY_ENDPOINT"], os.environ["IDENTITY_HEADER"] = f"{URL}/msi/token", "sim-identity-header"
    expect(listed(ManagedIdentityCredential(**TRUST)), wanted, "with App Service")


def errors():
    world = control("GET", "world")
    (id,) = world["subscriptions"]
    compute = client(ComputeManagementClient, id, retry_total=0)
    network = client(NetworkManagementClient, id, retry_total=0)
    refused(ResourceNotFoundError, lambda: compute.virtual_machines.get("no-such-group", "vm"), "ResourceGroupNotFound")
    group = next(iter(world["subscriptions"][id]["groups"].values()))["name"]
    refused(ResourceNotFoundError, lambda: compute.virtual_machines.get(group, "vm"), "ResourceNotFound")
    refused(HttpResponseError, lambda: list(compute.virtual_machines.list_all(expand="instanceView")), "InvalidParameter")
    refused(ResourceNotFoundError, lambda: list(client(ComputeManagementClient, "0" * 8).virtual_machines.list_all()), "SubscriptionNotFound")
    refused(HttpResponseError, lambda: list(compute.virtual_machines.list_all(api_version="2001-01-01")), "InvalidApiVersionParameter")
    # The SDK asks for a token of another audience, and gets one.
    graph_ = ComputeManagementClient(secret_credential(), id, base_url=URL, credential_scopes=["https://graph.microsoft.com/.default"], **TRUST)
    refused(ClientAuthenticationError, lambda: list(graph_.virtual_machines.list_all()), "InvalidAuthenticationTokenAudience")
    control("PUT", "faults", [{"operation": "disks.list", "effect": "deny"}, {"operation": "networkInterfaces.list", "effect": "provider_error"}])
    refused(HttpResponseError, lambda: list(compute.disks.list()), "AuthorizationFailed")
    refused(HttpResponseError, lambda: list(network.network_interfaces.list_all()), "ProviderError")
    control("PUT", "faults", [{"operation": "disks.list", "times": 1, "effect": {"throttle": {"retry_after_s": 1}}}])
    expect(folded(client(ComputeManagementClient, id).disks.list()), set(world["subscriptions"][id]["disks"]), "after a wait")
    control("POST", "changes", [{"start_delete": {"id": next(iter(world["subscriptions"][id]["vms"]))}}])
    leaving = next(vm for vm in compute.virtual_machines.list_all() if vm.provisioning_state == "Deleting")
    refused(ResourceNotFoundError, lambda: compute.virtual_machines.get(leaving.id.split("/")[4], leaving.name), "ResourceNotFound")


{"estate": estate, "identity": identity, "errors": errors}[WHAT]()
