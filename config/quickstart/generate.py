#!/usr/bin/env python3
"""Writes the quick start's inventory, an invented estate, to standard output:

    python3 generate.py > inventory.json

The same script always writes the same bytes; a test compares them with the file in the repository. Times are fixed and lie in the past, so that no
machine is too young for a record. Services and named fleets are not in it: Dewpoint derives them from the tags.
"""

import hashlib
import json
import sys

TAKEN_AT = "2026-01-15T06:00:00Z"

resources, relations = {}, {}


def hexid(name, digits=17):
    """An id that looks random and is not."""
    return hashlib.sha256(name.encode()).hexdigest()[:digits]


def resource(key, kind, native_id, account, region, name, tags=None, state=None, created=None, **attributes):
    provider = key.split(":")[0]
    entry = {"key": key, "kind": kind, "provider": provider, "native_id": native_id, "account": account, "region": region, "name": name}
    if state:
        entry["state"] = state
    entry["tags"] = tags or {}
    if created:
        entry["created_at"] = created
    entry["observed_at"] = TAKEN_AT
    entry["attributes"] = {name: value for name, value in sorted(attributes.items()) if value is not None}
    assert key.lower() not in {known.lower() for known in resources}, key
    resources[key] = entry
    return key


def relate(kind, start, end, **attributes):
    relations[(start, kind, end)] = {"type": kind, "from": start, "to": end, "attributes": attributes}


def address(name, network):
    """A private address in 10.<network>.0.0/16."""
    number = int(hexid(name, 4), 16)
    return f"10.{network}.{number // 254 % 250}.{number % 254 + 1}"


def public_address(name):
    """An address of the networks that are kept for documentation (RFC 5737)."""
    number = int(hexid("public " + name, 4), 16)
    return f"{('198.51.100', '203.0.113')[number % 2]}.{number // 2 % 254 + 1}"


def mac(name):
    digits = hexid("mac " + name, 10)
    return ":".join(["02"] + [digits[at : at + 2] for at in range(0, 10, 2)])


def ingress(protocol, ports, peer, description=None):
    group = {"type": "security_group", "id": peer}
    cidr = {"type": "cidr", "cidr": peer}
    rule = {"direction": "ingress", "protocol": protocol, "ports": ports, "peer": cidr if "/" in peer else group}
    return rule | ({"description": description} if description else {})


def open_to_world(rules):
    return sorted({f"{rule['protocol']}/{rule['ports']}" for rule in rules if rule["peer"].get("cidr") == "0.0.0.0/0"})


SIZES = {
    "t3.small": (2, 2048), "t3.medium": (2, 4096), "m6i.large": (2, 8192), "m6i.xlarge": (4, 16384), "c6i.xlarge": (4, 8192),
    "r6i.2xlarge": (8, 65536), "Standard_B2s": (2, 4096), "Standard_D2s_v5": (2, 8192), "Standard_D4s_v5": (4, 16384), "Standard_E8s_v5": (8, 65536),
}


class Aws:
    """One account in one region."""

    def __init__(self, account, account_key, region, network, zones):
        self.account, self.region, self.number = account, region, network
        self.here = self.add("region", f"region/{region}", region, region, display_name=region)
        relate("contains", account_key, self.here)
        vpc = "vpc-" + hexid(f"vpc {account} {region}")
        self.vpc = self.add("network", f"vpc/{vpc}", vpc, f"main-{region}", tags={"env": "prod"}, state="available", cidrs=[f"10.{network}.0.0/16"], is_default=False)
        relate("located_in", self.vpc, self.here)
        self.zones, self.subnets = {}, {}
        for index, letter in enumerate(zones):
            zone = region + letter
            self.zones[letter] = self.add("zone", f"availability-zone/{zone}", zone, zone, state="available", zone_id=f"{region.replace('-', '')}-az{index + 1}")
            relate("located_in", self.zones[letter], self.here)
            subnet = "subnet-" + hexid(f"subnet {account} {zone}")
            self.subnets[letter] = self.add("subnet", f"subnet/{subnet}", subnet, f"private-{zone}", state="available", network=self.vpc, zone=zone,
                                            cidrs=[f"10.{network}.{index * 32}.0/19"], is_default=False, free_addresses=8000 - index)
            relate("located_in", self.subnets[letter], self.vpc)
            relate("located_in", self.subnets[letter], self.zones[letter])

    def add(self, kind, path, native_id, name, service="ec2", **rest):
        return resource(f"aws:arn:aws:{service}:{self.region}:{self.account}:{path}", kind, native_id, self.account, self.region, name, **rest)

    def group_id(self, name):
        return "sg-" + hexid(f"sg {self.account} {self.region} {name}")

    def group_key(self, name):
        return f"aws:arn:aws:ec2:{self.region}:{self.account}:security-group/{self.group_id(name)}"

    def group(self, name, description, *rules, tags=None):
        """A security group. A rule's peer is a CIDR block or the name of another group here."""
        rules = [ingress(protocol, ports, peer if "/" in peer else self.group_id(peer)) for protocol, ports, peer in rules]
        key = self.add("security_group", f"security-group/{self.group_id(name)}", self.group_id(name), name, tags=tags, description=description,
                       network=self.vpc, rules=rules, open_to_world=open_to_world(rules))
        for rule in rules:
            if rule["peer"]["type"] == "security_group":
                relate("allows", f"aws:arn:aws:ec2:{self.region}:{self.account}:security-group/{rule['peer']['id']}", key)

    def machine(self, name, size, zone, groups, tags, created, state="running", purchase="on_demand", os="linux", elastic=False, launched_by=None):
        """An instance with its interface and root volume; a terminated one has lost them."""
        instance = "i-" + hexid(f"{self.account} {self.region} {name}")
        ended = state == "terminated"
        private, public = address(instance, self.number), public_address(instance) if elastic else None
        vcpus, memory = SIZES[size]
        network = {} if ended else {
            "private_addresses": [private], "public_addresses": [public] if public else [], "macs": [mac(instance)], "network": self.vpc,
            "subnet": self.subnets[zone], "private_dns_name": f"ip-{private.replace('.', '-')}.{self.region}.compute.internal"}
        key = self.add("instance", f"instance/{instance}", instance, name, tags={"Name": name} | tags if name else tags, state=state, created=created,
                       size=size, vcpus=vcpus, memory_mib=memory, purchase=purchase, image="ami-" + hexid(f"image {os}"), os_family=os, tenancy="default",
                       architecture="x86_64", zone=self.region + zone, launched_at=created, provider_state=state, launched_by=launched_by, **network)
        relate("located_in", key, self.zones[zone])
        if ended:
            return key
        eni, volume = "eni-" + hexid(f"eni {instance}"), "vol-" + hexid(f"vol {instance}")
        card = self.add("network_interface", f"network-interface/{eni}", eni, None, state="in-use", interface_type="interface", mac=mac(instance),
                        private_addresses=[private], public_addresses=[public] if public else [], network=self.vpc, subnet=self.subnets[zone],
                        zone=self.region + zone, delete_on_termination=True)
        relate("attached_to", card, key, delete_on_termination=True)
        relate("connected_to", card, self.subnets[zone])
        for group in groups:
            relate("protected_by", key, self.group_key(group))
            relate("protected_by", card, self.group_key(group))
        self.volume(f"{name or instance} root", 40, zone, volume=volume, machine=key)
        if elastic:
            self.elastic(name, public, key)
        return key

    def volume(self, name, size, zone, volume=None, machine=None, tags=None, ends_with_machine=True):
        volume = volume or "vol-" + hexid(f"{self.account} {name}")
        key = self.add("volume", f"volume/{volume}", volume, name, tags=tags, state="in-use" if machine else "available", created="2025-03-01T09:00:00Z",
                       size_gib=size, volume_type="gp3", iops=3000, encrypted=bool(machine), zone=self.region + zone)
        if machine:
            relate("attached_to", key, machine, delete_on_termination=ends_with_machine)

    def elastic(self, name, public=None, machine=None):
        allocation = "eipalloc-" + hexid(f"eip {self.account} {name}")
        key = self.add("public_address", f"elastic-ip/{allocation}", allocation, name, address=public or public_address(name), allocation="static")
        if machine:
            relate("attached_to", key, machine, delete_on_termination=False)

    def fleet(self, name, size, zones, groups, tags, created, spot=0):
        """An Auto Scaling group with one machine per letter of `zones`, the last `spot` of them spot machines."""
        tags = tags | {"aws:autoscaling:groupName": name}
        uuid = f"{hexid(name, 8)}-0000-4000-8000-{hexid('asg ' + name, 12)}"
        key = self.add("scaling_group", f"autoScalingGroup:{uuid}:autoScalingGroupName/{name}", name, name, service="autoscaling", tags=tags, created=created,
                       min_size=2, max_size=12, desired_size=len(zones), zones=sorted({self.region + zone for zone in zones}), sizes=[size],
                       launch_template=f"lt-{hexid('lt ' + name)}", member_count=len(zones), spot_share=round(spot / len(zones), 3))
        members = []
        for index, zone in enumerate(zones):
            purchase = "spot" if index >= len(zones) - spot else "on_demand"
            member = self.machine(f"{name}-{index + 1}", size, zone, groups, tags, f"2026-01-{10 + index % 4:02}T0{index % 10}:15:00Z", purchase=purchase,
                                  launched_by="autoscaling.amazonaws.com")
            relate("member_of", member, key)
            members.append(member)
        return members

    def balancer(self, name, pools, groups=(), form="app", scheme="internet-facing", tags=None):
        """A balancer. `pools`: (name, listener port, protocol, member port, members, how many of them are ill)."""
        listeners = [{"port": port, "protocol": protocol} for _, port, protocol, *_ in pools]
        kind = {"app": "application", "net": "network"}[form]
        key = self.add("load_balancer", f"loadbalancer/{form}/{name}/{hexid('lb ' + name, 16)}", name, name, service="elasticloadbalancing", tags=tags,
                       state="active", created="2024-06-03T08:00:00Z", balancer_type=kind, scheme=scheme, network=self.vpc, listeners=listeners,
                       dns_name=f"{name}-{hexid(name, 10)}.{self.region}.elb.amazonaws.com", zones=sorted(self.region + zone for zone in self.zones))
        for group in groups:
            relate("protected_by", key, self.group_key(group))
        for pool_name, port, protocol, member_port, members, ill in pools:
            pool = self.add("pool", f"targetgroup/{pool_name}/{hexid('tg ' + pool_name, 16)}", pool_name, pool_name, service="elasticloadbalancing", tags=tags,
                            protocol="HTTP" if form == "app" else "TCP", port=member_port, member_type="instance", network=self.vpc,
                            health_check={"path": "/healthz", "interval_s": 15}, member_count=len(members), healthy_count=len(members) - ill)
            relate("routes_to", key, pool, port=port, protocol=protocol)
            for index, member in enumerate(members):
                relate("routes_to", pool, member, port=member_port, health="unhealthy" if index < ill else "healthy")


class Azure:
    """One subscription in one location."""

    def __init__(self, subscription, account_key, location, network, zones):
        self.account, self.region, self.number = subscription, location, network
        self.here = self.add("region", f"/locations/{location}", location, display_name=location)
        relate("contains", account_key, self.here)
        self.zones = {}
        for zone in zones:
            self.zones[zone] = self.add("zone", f"/locations/{location}/zones/{zone}", f"{location}-{zone}", zone_id=zone)
            relate("located_in", self.zones[zone], self.here)

    def add(self, kind, path, name, **rest):
        native_id = f"/subscriptions/{self.account}{path}"
        return resource(f"azure:{native_id.lower()}", kind, native_id, self.account, self.region, name, **rest)

    def resource_group(self, name, tags=None):
        self.group_path = f"/resourceGroups/{name}"
        self.group = self.add("resource_group", self.group_path, name, tags=tags, provisioning_state="Succeeded")
        relate("located_in", self.group, self.here)

    def within(self, kind, path, name, **rest):
        """Something in the resource group that was begun last."""
        key = self.add(kind, f"{self.group_path}/providers/{path}", name, **rest)
        relate("contains", self.group, key)
        return key

    def vnet(self, name, *subnets):
        """A network with subnets, each protected by the security group of its name, if there is one."""
        self.network = self.within("network", f"Microsoft.Network/virtualNetworks/{name}", name, cidrs=[f"10.{self.number}.0.0/16"], is_default=False)
        relate("located_in", self.network, self.here)
        self.subnets = {}
        for index, (subnet, group) in enumerate(subnets):
            path = f"Microsoft.Network/virtualNetworks/{name}/subnets/{subnet}"
            self.subnets[subnet] = self.within("subnet", path, subnet, network=self.network, cidrs=[f"10.{self.number}.{index}.0/24"])
            relate("located_in", self.subnets[subnet], self.network)
            if group:
                relate("protected_by", self.subnets[subnet], group)

    def nsg(self, name, *rules, tags=None):
        rules = [ingress(*rule) for rule in rules]
        return self.within("security_group", f"Microsoft.Network/networkSecurityGroups/{name}", name, tags=tags, rules=rules, open_to_world=open_to_world(rules))

    def machine(self, name, size, subnet, tags, created, state="running", zone=None, os="linux", fleet=None, purchase="on_demand", public=False, nsg=None):
        """A virtual machine, or a member of a scale set, with its interface and disk."""
        vm = f"Microsoft.Compute/virtualMachineScaleSets/{fleet}/virtualMachines/{name.rsplit('_', 1)[-1]}" if fleet else f"Microsoft.Compute/virtualMachines/{name}"
        private, outside = address(self.account + name, self.number), public_address(name) if public else None
        vcpus, memory = SIZES[size]
        key = self.within("instance", vm, name, tags=tags, state=state, created=created, size=size, vcpus=vcpus, memory_mib=memory, purchase=purchase, os_family=os,
                          architecture="x86_64", zone=zone, launched_at=created, provider_state={"stopped": "deallocated"}.get(state, state), network=self.network,
                          subnet=self.subnets[subnet], life=f"{hexid('vm ' + name, 8)}-1111-4222-8333-{hexid('life ' + name, 12)}", macs=[mac(name)],
                          private_addresses=[private], public_addresses=[outside] if outside else [])
        if zone:
            relate("located_in", key, self.zones[zone])
        nic_path = f"{vm}/networkInterfaces/nic" if fleet else f"Microsoft.Network/networkInterfaces/{name}-nic"
        nic = self.within("network_interface", nic_path, f"{name}-nic", mac=mac(name), private_addresses=[private], network=self.network,
                          public_addresses=[outside] if outside else [], subnet=self.subnets[subnet], delete_on_termination=bool(fleet))
        relate("attached_to", nic, key, delete_on_termination=bool(fleet))
        relate("connected_to", nic, self.subnets[subnet])
        if nsg:
            relate("protected_by", nic, nsg)
            relate("protected_by", key, nsg)
        self.disk(f"{name}-os", 64, key, bool(fleet))
        if outside:
            self.public_ip(f"{name}-ip", outside, key)
        return key

    def disk(self, name, size, machine=None, ends_with_machine=False, tags=None):
        key = self.within("volume", f"Microsoft.Compute/disks/{name}", name, tags=tags, state="Attached" if machine else "Unattached",
                          created="2025-05-05T07:30:00Z", size_gib=size, volume_type="Premium_LRS", encrypted=True)
        if machine:
            relate("attached_to", key, machine, delete_on_termination=ends_with_machine)

    def public_ip(self, name, outside=None, holder=None):
        key = self.within("public_address", f"Microsoft.Network/publicIPAddresses/{name}", name, address=outside or public_address(name), allocation="static")
        if holder:
            relate("attached_to", key, holder, delete_on_termination=False)

    def scale_set(self, name, size, subnet, count, tags, created, spot=False):
        key = self.within("scaling_group", f"Microsoft.Compute/virtualMachineScaleSets/{name}", name, tags=tags, created=created, min_size=2, max_size=10,
                          desired_size=count, zones=sorted(self.zones), sizes=[size], orchestration="Uniform", member_count=count, spot_share=1.0 if spot else 0.0)
        members = []
        for index in range(count):
            zone = sorted(self.zones)[index % len(self.zones)]
            member = self.machine(f"{name}_{index}", size, subnet, tags, f"2026-01-0{index % 9 + 1}T12:00:00Z", zone=zone, fleet=name, purchase="spot" if spot else "on_demand")
            relate("member_of", member, key)
            members.append(member)
        return members

    def balancer(self, form, name, port, protocol, member_port, members, tags=None, scheme="internal"):
        path = f"Microsoft.Network/{form}/{name}"
        kind = {"loadBalancers": "load_balancer", "applicationGateways": "application_gateway"}[form]
        key = self.within("load_balancer", path, name, tags=tags, balancer_type=kind, scheme=scheme, network=self.network, addresses=[address(name, self.number)],
                          listeners=[{"port": port, "protocol": protocol}])
        pool = self.within("pool", f"{path}/backendAddressPools/members", f"{name}-members", tags=tags, protocol=protocol, port=member_port,
                           member_type="instance", network=self.network, member_count=len(members))
        relate("routes_to", key, pool, port=port, protocol=protocol)
        for member in members:
            relate("routes_to", pool, member, port=member_port)


def account(key, native_id, account_id, name, **attributes):
    return resource(key, "account", native_id, account_id, "*", name, state="active", **attributes)


SHOP_PROD, SHOP_DEV = "111122223333", "444455556666"
FINANCE, SANDBOX = "5d1f0c3a-7c1e-4a52-9b1e-0f2a6c9d8e11", "c2b7e9d4-3f60-4d8b-8a77-91e4d05b6f22"


def aws_organization_member(number, name):
    return account(f"aws:arn:aws:iam::{number}:root", number, number, name,
                   organization="o-dewdemo001", email_domain="example.com", joined_at="2023-02-01T00:00:00Z")


def shop_production():
    key = aws_organization_member(SHOP_PROD, "Shop production")
    shop = {"env": "prod", "owner": "shop-team@example.com", "cost-center": "4711", "service": "shop", "support-group": "Shop Operations"}

    dublin = Aws(SHOP_PROD, key, "eu-west-1", 10, "abc")
    dublin.group("default", "default VPC security group")
    dublin.group("shop-balancer", "Customers to the shop", ("tcp", "443", "0.0.0.0/0"), ("tcp", "80", "0.0.0.0/0"), tags=shop)
    dublin.group("shop-web", "Balancer to the web servers", ("tcp", "8080", "shop-balancer"), ("tcp", "22", "bastion"), tags=shop)
    dublin.group("shop-api", "Web servers to the API", ("tcp", "9090", "shop-web"), ("tcp", "22", "bastion"), tags=shop)
    dublin.group("shop-db", "API to the databases", ("tcp", "5432", "shop-api"), ("tcp", "22", "bastion"), tags=shop)
    dublin.group("bastion", "Offices to the bastion", ("tcp", "22", "192.0.2.0/24"))
    dublin.group("quick-fix-2023", "TEMPORARY, remove after migration", ("tcp", "22", "0.0.0.0/0"), ("tcp", "3389", "0.0.0.0/0"))
    dublin.group("launch-wizard-1", "launch-wizard-1 created 2023-04-11", ("tcp", "22", "0.0.0.0/0"))
    dublin.group("old-cache", "unused since the move", ("tcp", "6379", "shop-api"))

    web = dublin.fleet("shop-web", "m6i.large", "abcabc", ["shop-web"], shop, "2024-06-03T08:00:00Z", spot=2)
    api = dublin.fleet("shop-api", "c6i.xlarge", "abca", ["shop-api"], shop, "2024-06-03T08:00:00Z")
    primary = dublin.machine("shop-db-1", "r6i.2xlarge", "a", ["shop-db"], shop | {"role": "postgres-primary"}, "2024-02-20T10:00:00Z")
    standby = dublin.machine("shop-db-2", "r6i.2xlarge", "b", ["shop-db"], shop | {"role": "postgres-standby"}, "2024-02-20T10:05:00Z")
    dublin.volume("shop-db-1 data", 500, "a", machine=primary, tags=shop, ends_with_machine=False)
    dublin.volume("shop-db-2 data", 500, "b", machine=standby, tags=shop, ends_with_machine=False)
    dublin.machine("bastion", "t3.small", "a", ["bastion"], {"env": "prod", "Owner": "platform@example.com", "service": "access"}, "2023-09-01T06:00:00Z", elastic=True)
    dublin.machine("legacy-erp", "m6i.xlarge", "b", ["default", "quick-fix-2023"], {"env": "prod"}, "2023-03-15T12:00:00Z", os="windows")
    dublin.machine("jenkins-old", "t3.medium", "c", ["default"], {"env": "tools", "owner": "ci@example.com"}, "2023-05-02T12:00:00Z", state="stopped")
    dublin.machine("reports-2024", "t3.medium", "a", ["default"], {"environment": "prd", "technical-contact": "bi@example.com"}, "2024-12-30T23:59:59Z", state="stopped")
    for number in (1, 2):
        dublin.machine(f"ci-runner-{number}", "c6i.xlarge", "c", [], {"role": "ci-runner", "env": "tools"}, "2026-01-15T05:20:00Z", state="terminated", purchase="spot")
    dublin.balancer("shop-public", [("shop-web", 443, "HTTPS", 8080, web, 1)], ["shop-balancer"], tags=shop)
    dublin.balancer("shop-internal", [("shop-api", 9090, "TCP", 9090, api, 0), ("shop-db", 5432, "TCP", 5432, [primary, standby], 0)], form="net", scheme="internal", tags=shop)
    dublin.volume("snapshot restore test", 200, "a")
    dublin.volume("do not delete!! (ask Bob)", 1000, "b", tags={"owner": "bob"})
    dublin.elastic("nat-retired")

    virginia = Aws(SHOP_PROD, key, "us-east-1", 20, "ab")
    virginia.group("default", "default VPC security group")
    virginia.group("shop-us-balancer", "Customers to the shop", ("tcp", "443", "0.0.0.0/0"), tags=shop)
    virginia.group("shop-us-web", "Balancer to the web servers", ("tcp", "8080", "shop-us-balancer"), tags=shop)
    members = virginia.fleet("shop-us-web", "m6i.large", "aba", ["shop-us-web"], shop, "2025-01-15T08:00:00Z")
    virginia.balancer("shop-us", [("shop-us-web", 443, "HTTPS", 8080, members, 0)], ["shop-us-balancer"], tags=shop)
    batch = {"env": "prod", "owner": "data@example.com", "application": "Recommendations", "CostCentre": "4720"}
    virginia.fleet("recommend-batch", "c6i.xlarge", "abab", ["default"], batch, "2025-08-01T00:00:00Z", spot=4)


def shop_development():
    key = aws_organization_member(SHOP_DEV, "Shop development")
    frankfurt = Aws(SHOP_DEV, key, "eu-central-1", 30, "ab")
    frankfurt.group("default", "default VPC security group", ("all", "all", "default"))
    frankfurt.group("dev-open", "everything for everyone", ("all", "all", "0.0.0.0/0"))
    frankfurt.group("dev-web", "Offices to development", ("tcp", "80", "192.0.2.0/24"))
    frankfurt.group("test", "test")
    # Tags as people write them.
    odd = [
        ("shop-dev", "t3.medium", {"Env": "DEV", "OWNER": "shop-team@example.com", "service": "Shop"}, "running"),
        ("shop-test", "t3.medium", {"env": " test ", "owner": " shop-team@example.com ", "service": " SHOP "}, "running"),
        ("grüße-app", "t3.small", {"env": "dev", "owner": "jürgen@example.com", "Beschreibung": "Größe prüfen – läuft bis März ☂"}, "running"),
        ("prod-copy", "r6i.2xlarge", {"env": "prdo", "owner": "", "cost-center": "n/a"}, "running"),
        (None, "t3.small", {}, "running"),
        ("test123", "t3.small", {"Name ": "test 123", "env": "Dev", "delete-after": "2025-02-30"}, "stopped"),
        ("loadtest-1", "c6i.xlarge", {"env": "dev", "owner": "perf@example.com", "cost center": "4711", "service": "shop"}, "stopped"),
        ("old-demo", "t3.small", {"env": "demo", "formula": "=1+1"}, "stopped"),
        ("spike", "t3.medium", {"env": "sandbox"}, "terminated"),
    ]
    for index, (name, size, tags, state) in enumerate(odd):
        frankfurt.machine(name, size, "ab"[index % 2], ["dev-open" if index < 3 else "dev-web"], tags, f"2025-{index + 2:02}-11T09:30:00Z", state=state)
    runners = {"env": "tools", "owner": "ci@example.com", "role": "ci-runner"}
    frankfurt.fleet("ci-runners", "c6i.xlarge", "aba", ["default"], runners, "2025-09-09T09:09:09Z", spot=3)
    frankfurt.volume("prod-copy dump", 800, "b", tags={"env": "prdo"})
    frankfurt.elastic("dev-demo")


def finance():
    key = account(f"azure:/subscriptions/{FINANCE}", f"/subscriptions/{FINANCE}", FINANCE, "Finance production")
    tags = {"env": "prod", "owner": "finance-it@example.com", "cost-center": "8800", "service": "invoicing", "support-group": "Finance IT"}
    west = Azure(FINANCE, key, "westeurope", 40, "123")
    west.resource_group("RG-Network", {"owner": "platform@example.com"})
    front = west.nsg("nsg-front", ("tcp", "443", "0.0.0.0/0"))
    back = west.nsg("nsg-back", ("tcp", "8443", "10.40.0.0/24"))
    west.nsg("nsg-unused", ("tcp", "1433", "0.0.0.0/0"))
    west.vnet("vnet-finance-we", ("front", front), ("back", back), ("management", None))
    west.public_ip("pip-old-vpn")
    west.resource_group("RG-Invoicing", tags)
    members = west.scale_set("vmss-invoicing", "Standard_D2s_v5", "front", 5, tags, "2025-04-01T06:00:00Z")
    west.balancer("applicationGateways", "agw-invoicing", 443, "Https", 8080, members, tags, "internet-facing")
    servers = [west.machine(f"vm-ledger-{number}", "Standard_D4s_v5", "back", tags | {"service": "ledger"}, f"2024-10-0{number}T06:00:00Z", zone=str(number), os="windows", nsg=back) for number in (1, 2)]
    west.balancer("loadBalancers", "lb-ledger", 8443, "Tcp", 8443, servers, tags | {"service": "ledger"})
    west.machine("vm-sql-1", "Standard_E8s_v5", "back", tags | {"application": "ledger"}, "2024-10-01T05:00:00Z", zone="1", os="windows", nsg=back)
    west.resource_group("RG-Misc")
    west.machine("vm-year-end", "Standard_E8s_v5", "back", {"Env": "Prod", "Owner": "closing@example.com"}, "2024-12-20T08:00:00Z", state="stopped", os="windows")
    west.machine("vm-jump", "Standard_B2s", "management", {"env": "prod"}, "2024-03-03T03:03:03Z", public=True, nsg=front)
    west.disk("disk-year-end-2023", 512)

    north = Azure(FINANCE, key, "northeurope", 50, "1")
    north.resource_group("RG-Recovery", tags)
    north.vnet("vnet-finance-ne", ("standby", north.nsg("nsg-standby", ("tcp", "8443", "10.40.0.0/16"))))
    for number in (1, 2):
        north.machine(f"vm-ledger-dr-{number}", "Standard_D4s_v5", "standby", tags | {"service": "ledger", "role": "disaster-recovery"}, "2024-11-11T11:11:11Z", state="stopped", os="windows")


def sandbox():
    key = account(f"azure:/subscriptions/{SANDBOX}", f"/subscriptions/{SANDBOX}", SANDBOX, "Platform sandbox")
    north = Azure(SANDBOX, key, "northeurope", 60, "12")
    north.resource_group("rg-sandbox", {"environment": "sandbox"})
    anyone = north.nsg("nsg-anyone", ("tcp", "22", "0.0.0.0/0"), ("tcp", "3389", "0.0.0.0/0"))
    north.vnet("vnet-sandbox", ("default", anyone))
    north.scale_set("vmss-experiments", "Standard_D2s_v5", "default", 4, {"environment": "sandbox", "owner": "platform@example.com"}, "2025-10-10T10:10:10Z", spot=True)
    north.machine("vm-try-1", "Standard_B2s", "default", {"environment": "sandbox", "owner": "zoë@example.com"}, "2025-11-02T10:00:00Z", public=True, nsg=anyone)
    north.machine("vm-try-2", "Standard_B2s", "default", {}, "2025-11-03T10:00:00Z", state="stopped")
    north.machine("vm-🌧", "Standard_B2s", "default", {"environment": "SandBox ", "note": "\ttab and trailing blank "}, "2025-11-04T10:00:00Z")
    north.disk("disk-forgotten", 128)
    north.disk("disk-forgotten-too", 256, tags={"owner": "?"})


def receipts():
    """One complete receipt for each scope; accounts and regions are listed without a region."""
    rows = {}
    for entry in resources.values():
        region = "*" if entry["kind"] in ("account", "region") else entry["region"]
        scope = (entry["provider"], entry["account"], region, entry["kind"])
        rows[scope] = rows.get(scope, 0) + 1
    names = ("provider", "account", "region", "kind")
    return [{"source": scope[0]} | dict(zip(names, scope)) | {"outcome": "complete", "count": count} for scope, count in sorted(rows.items())]


def lines(entries):
    return ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)


def main():
    for build in (shop_production, shop_development, finance, sandbox):
        build()
    ordered = [resources[key] for key in sorted(resources)]
    edges = [relations[edge] for edge in sorted(relations)]
    text = f'{{"schema_version": 1, "taken_at": "{TAKEN_AT}",\n"receipts": [\n{lines(receipts())}\n],\n"resources": [\n{lines(ordered)}\n],\n"relations": [\n{lines(edges)}\n]}}\n'
    sys.stdout.buffer.write(text.encode())


if __name__ == "__main__":
    main()
