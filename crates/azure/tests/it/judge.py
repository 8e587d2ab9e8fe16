"""Lists an estate by Azure's Python SDKs and compares it, key by key, with what Dewpoint made of it: judge.py URL CA_FILE INVENTORY…

An inventory is a JSON document with `receipts`, `resources`, `relations`, and what was not read of resources as `unread`. What they should be
is worked out here anew out of the SDKs' objects, by joins of this file's own; nothing is taken from Dewpoint but the words of its model. All
kinds, attributes and edges are compared, save `rules_digest` and `observed_at`. It tells the first differences of each inventory and how many
there are, and ends with 1 where there is one.
"""

import datetime
import ipaddress
import json
import logging
import sys

from azure.identity import ClientSecretCredential
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.network import NetworkManagementClient
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.resource.subscriptions import SubscriptionClient

URL, CA_FILE, *INVENTORIES = sys.argv[1:]
TENANT = "7a0b54c1-2f0e-4a53-9d1c-5f6a1e0b9c01"
CLIENT = "5c1d7f0a-93b4-4e0f-8a77-20e6d1f3a902"
SECRET = "sim~secret/of+the=client"
TOLD = 20
logging.disable(logging.ERROR)


def client(kind, *arguments):
    trust = {"connection_verify": CA_FILE}
    credential = ClientSecretCredential(TENANT, CLIENT, SECRET, authority=URL, disable_instance_discovery=True, **trust)
    return kind(credential, *arguments, base_url=URL, credential_scopes=["https://management.azure.com/.default"], **trust)


def key(id):
    return "azure:" + id.lower()


def key_of(reference):
    return key(reference.id) if reference is not None and reference.id else None


def parent(id, part):
    """What an id with this part in it lies below; None where it has none."""
    at = id.lower().find(f"/{part.lower()}/")
    return None if at < 0 else id[:at]


def told(**facts):
    """Attributes, without what is not known."""
    return {name: value for name, value in facts.items() if value is not None and value != ""}


def lower(text):
    return text.lower() if text else None


def each_once(texts):
    return sorted({text for text in texts if text})


def moment(time):
    return time and time.astimezone(datetime.timezone.utc).replace(microsecond=0)


class Expected:
    """The resources and edges of all subscriptions."""

    def __init__(self):
        self.resources, self.relations, self.unread = {}, {}, {}
        self.holders, self.pools = {}, []

    def add(self, kind, id, account, region, name, attributes=None, tags=None, state=None, created=None):
        if key(id) in self.resources:
            raise SystemExit(f"the SDKs list {id} twice")
        self.resources[key(id)] = {
            "kind": kind, "provider": "azure", "native_id": id.lower(), "account": account, "region": region, "name": name, "state": state,
            "tags": dict(tags or {}), "created_at": moment(created), "attributes": attributes or {},
        }

    def relate(self, source, kind, target, **attributes):
        self.relations[(source, kind, target)] = told(**attributes)

    def hold(self, subnet, address, holder):
        if subnet is not None and address:
            self.holders.setdefault((key(parent(subnet.id, "subnets")), ipaddress.ip_address(address)), set()).add(holder)

    def holder(self, network, address):
        """Who has an address in a network; None where nobody has, or where it is a name."""
        try:
            found = self.holders.get((network, ipaddress.ip_address(address)), set())
        except ValueError:
            return None
        if len(found) > 1:
            raise SystemExit(f"{address} of {network} has several holders: {sorted(found)}")
        return next(iter(found), None)


class Subscription:
    """One subscription: what it lists, and what becomes of it."""

    def __init__(self, expected, found, locations):
        self.expected, self.found, self.id = expected, found, found.subscription_id.lower()
        self.locations = {place.name: place for place in locations}
        compute, network = client(ComputeManagementClient, self.id), client(NetworkManagementClient, self.id)
        self.groups = list(client(ResourceManagementClient, self.id).resource_groups.list())
        self.group_of = {key(group.id): group for group in self.groups}
        self.machines = list(compute.virtual_machines.list_all())
        self.powers = {key(vm.id): vm.instance_view.statuses for vm in compute.virtual_machines.list_all(status_only="true")}
        self.sets = list(compute.virtual_machine_scale_sets.list_all())
        self.set_of = {key(found.id): found for found in self.sets}
        self.disks = list(compute.disks.list())
        self.nics = list(network.network_interfaces.list_all())
        self.addresses = list(network.public_ip_addresses.list_all())
        self.instances, self.instance_nics = [], []
        for one in self.sets:
            if one.orchestration_mode == "Flexible":
                continue
            group = one.id.split("/")[4]
            self.instances += compute.virtual_machine_scale_set_vms.list(group, one.name, expand="instanceView")
            self.instance_nics += network.network_interfaces.list_virtual_machine_scale_set_network_interfaces(group, one.name)
            self.addresses += network.public_ip_addresses.list_virtual_machine_scale_set_public_ip_addresses(group, one.name)
        self.networks = list(network.virtual_networks.list_all())
        self.security_groups = list(network.network_security_groups.list_all())
        self.balancers = list(network.load_balancers.list_all())
        self.gateways = list(network.application_gateways.list_all())
        self.sizes = {}
        for place in each_once(machine.location for machine in self.machines + self.instances):
            for sku in compute.resource_skus.list(filter=f"location eq '{place}'"):
                if sku.resource_type == "virtualMachines":
                    self.sizes[sku.name.lower()] = {one.name: one.value for one in sku.capabilities}
        self.regions, self.zones = set(), set()
        self.join()

    def join(self):
        """What is found by way of something else."""
        self.address_of = {key(one.id): one for one in self.addresses}
        self.nic_of = {key(nic.id): nic for nic in self.nics + self.instance_nics}
        self.group_of_subnet = {key(one.id): key_of(one.network_security_group) for net in self.networks for one in net.subnets}
        self.nics_of, self.attached, self.disk_ends = {}, {}, {}
        for machine in self.machines + self.instances:
            for nic in machine.network_profile.network_interfaces:
                self.nics_of.setdefault(key(machine.id), []).append(self.nic_of[key(nic.id)])
                self.attached[key(nic.id)] = (key(machine.id), nic.delete_option == "Delete")
            storage = machine.storage_profile
            for disk in [storage.os_disk, *storage.data_disks]:
                self.disk_ends[key_of(disk.managed_disk)] = disk.delete_option == "Delete"
        for nic in self.nics + self.instance_nics:
            # Both ends have to tell the same.
            machine = self.attached.get(key(nic.id), (None,))[0]
            if key_of(nic.virtual_machine) != machine:
                raise SystemExit(f"{nic.id} hangs on {key_of(nic.virtual_machine)} by itself and on {machine} by its machine")
            for one in nic.ip_configurations:
                if machine:
                    self.expected.hold(one.subnet, one.private_ip_address, machine)
        for balancer in self.balancers + self.gateways:
            for frontend in balancer.frontend_ip_configurations:
                self.expected.hold(frontend.subnet, frontend.private_ip_address, key(balancer.id))

    def add(self, kind, item, **more):
        """A resource at its own place, else at that of the scale set or the group that it is in."""
        set_ = self.set_of.get(key(parent(item.id, "virtualMachines") or item.id)) if "/virtualMachineScaleSets/" in item.id else None
        place = getattr(item, "location", None) or (set_.location if set_ else self.group_of[key("/".join(item.id.split("/")[:5]))].location)
        parts = item.id.split("/virtualMachines/")[1:] if set_ else []
        name = f"{set_.name}_{parts[0].split('/')[0]}/{item.name}" if parts and "/" in parts[0] else item.name
        self.put(kind, item.id, place, name, tags=getattr(item, "tags", None), **more)
        return key(item.id), place

    def put(self, kind, id, place, name, **more):
        self.expected.add(kind, id, self.id, place, name, **more)
        self.regions.add(place)

    def locate(self, source, place, zones=()):
        self.expected.relate(source, "located_in", self.zone_key(place, zones[0]) if zones else self.place_key(place))

    def place_key(self, place):
        return f"azure:/subscriptions/{self.id}/locations/{place}"

    def zone_key(self, place, zone):
        return f"{self.place_key(place)}/zones/{zone}"

    def note_zones(self, place, zones):
        self.zones |= {(place, zone) for zone in zones or []}

    def manager(self, id):
        group = self.group_of.get(key("/".join(id.split("/")[:5])))
        return group.managed_by if group else None

    def public_of(self, configurations):
        return [self.address_of[key_of(one.public_ip_address)] for one in configurations if key_of(one.public_ip_address)]

    def fill(self):
        for group in self.groups:
            facts = told(provisioning_state=group.properties.provisioning_state, managed_by=group.managed_by)
            self.put("resource_group", group.id, group.location, group.name, tags=group.tags, attributes=facts)
            self.locate(key(group.id), group.location)
        self.fill_networks()
        for group in self.security_groups:
            self.add("security_group", group, attributes=rules_of(group))
        for machine in self.machines:
            self.machine(machine, self.powers[key(machine.id)], machine.priority)
        for machine in self.instances:
            set_ = self.set_of[key(parent(machine.id, "virtualMachines"))]
            self.machine(machine, machine.instance_view.statuses, set_.virtual_machine_profile.priority)
        for set_ in self.sets:
            self.scaling_group(set_)
        for nic in self.nics + self.instance_nics:
            self.interface(nic)
        for disk in self.disks:
            self.disk(disk)
        for address in self.addresses:
            self.address(address)
        for balancer in self.balancers:
            self.load_balancer(balancer)
        for gateway in self.gateways:
            self.gateway(gateway)

    def fill_networks(self):
        for net in self.networks:
            facts = {"cidrs": each_once(net.address_space.address_prefixes), "is_default": False}
            source, place = self.add("network", net, attributes=facts)
            self.locate(source, place)
            for subnet in net.subnets:
                facts = {"cidrs": each_once([subnet.address_prefix, *(subnet.address_prefixes or [])]), "network": source, "is_default": False}
                self.put("subnet", subnet.id, place, subnet.name, attributes=facts)
                self.expected.relate(key(subnet.id), "located_in", source)
                self.protect(key(subnet.id), key_of(subnet.network_security_group))

    def protect(self, source, *groups):
        for group in groups:
            if group:
                self.expected.relate(source, "protected_by", group)

    def machine(self, machine, statuses, priority):
        nics = self.nics_of[key(machine.id)]
        configurations = [one for nic in nics for one in nic.ip_configurations]
        image, zones = machine.storage_profile.image_reference, machine.zones or []
        size = self.sizes.get(machine.hardware_profile.vm_size.lower(), {})
        state, word = state_of(statuses, machine.provisioning_state)
        first = min(nics, key=lambda nic: (nic.primary is False, key(nic.id)))
        main = next((one for one in first.ip_configurations if one.primary is not False), first.ip_configurations[0])
        facts = told(
            size=machine.hardware_profile.vm_size,
            purchase="spot" if priority in ("Spot", "Low") else "on_demand",
            image=image and (image.id or ":".join([image.publisher, image.offer, image.sku, image.exact_version or image.version])),
            os_family=lower(machine.storage_profile.os_disk.os_type),
            zone=f"{machine.location}-{zones[0]}" if zones else None,
            provider_state=word,
            managed_by=self.manager(machine.id),
            life=lower(machine.vm_id),
            vcpus=int(size.get("vCPUsAvailable") or size["vCPUs"]),
            memory_mib=round(float(size["MemoryGB"]) * 1024),
            architecture={"x64": "x86_64"}.get(size["CpuArchitectureType"], lower(size["CpuArchitectureType"])),
            private_addresses=each_once(one.private_ip_address for one in configurations),
            public_addresses=each_once(one.ip_address for one in self.public_of(configurations)),
            macs=each_once(mac(nic) for nic in nics),
            private_dns_name=first.dns_settings.internal_fqdn if first.dns_settings else None,
            subnet=key_of(main.subnet),
            network=key(parent(main.subnet.id, "subnets")),
            public_dns_name=next((one.dns_settings.fqdn for one in self.public_of([main]) if one.dns_settings), None),
        )
        source, place = self.add("instance", machine, attributes=facts, state=state, created=machine.time_created)
        if state is None:
            self.expected.unread[source] = ["provider_state", "state"]
        self.locate(source, place, zones)
        self.note_zones(place, zones)
        self.protect(source, *(key_of(nic.network_security_group) for nic in nics))
        self.protect(source, *(self.group_of_subnet[key_of(one.subnet)] for one in configurations))

    def scaling_group(self, set_):
        is_flexible = set_.orchestration_mode == "Flexible"
        if is_flexible:
            members = [vm for vm in self.machines if key_of(vm.virtual_machine_scale_set) == key(set_.id)]
        else:
            members = [vm for vm in self.instances if key(parent(vm.id, "virtualMachines")) == key(set_.id)]
        images = [set_.virtual_machine_profile.storage_profile.image_reference, *(vm.storage_profile.image_reference for vm in members)]
        facts = told(
            min_size=0,
            max_size=100 if set_.single_placement_group else 1000,
            desired_size=len(members) if set_.sku.capacity is None else set_.sku.capacity,
            zones=each_once(f"{set_.location}-{zone}" for zone in set_.zones or []),
            sizes=each_once([set_.sku.name, *(vm.hardware_profile.vm_size for vm in members)]),
            images=each_once(image and (image.id or ":".join([image.publisher, image.offer, image.sku, image.exact_version])) for image in images),
            orchestration="Flexible" if is_flexible else "Uniform",
            member_count=len(members),
        )
        target, place = self.add("scaling_group", set_, attributes=facts, created=set_.time_created)
        self.note_zones(place, set_.zones)
        for member in members:
            self.expected.relate(key(member.id), "member_of", target)

    def interface(self, nic):
        machine, ends = self.attached.get(key(nic.id), (None, None))
        ends = True if "/virtualMachineScaleSets/" in nic.id else ends
        endpoint = nic.private_endpoint.id if nic.private_endpoint else None
        subnet = next(one.subnet for one in nic.ip_configurations)
        facts = told(
            interface_type="private_endpoint" if endpoint else "interface",
            mac=mac(nic),
            private_addresses=each_once(one.private_ip_address for one in nic.ip_configurations),
            public_addresses=each_once(one.ip_address for one in self.public_of(nic.ip_configurations)),
            private_dns_name=nic.dns_settings.internal_fqdn if nic.dns_settings else None,
            network=key(parent(subnet.id, "subnets")),
            subnet=key_of(subnet),
            managed_by=endpoint or self.manager(nic.id),
            delete_on_termination=ends,
        )
        source, _ = self.add("network_interface", nic, attributes=facts, state="in-use" if machine or endpoint else "available")
        self.protect(source, key_of(nic.network_security_group))
        self.expected.relate(source, "connected_to", key_of(subnet))
        if machine:
            self.expected.relate(source, "attached_to", machine, delete_on_termination=ends)

    def disk(self, disk):
        zones = disk.zones or []
        facts = told(
            size_gib=disk.disk_size_gb, volume_type=disk.sku.name, iops=disk.disk_iops_read_write, encrypted=True,
            zone=f"{disk.location}-{zones[0]}" if zones else None, snapshot=disk.creation_data.source_resource_id,
        )
        source, place = self.add("volume", disk, attributes=facts, state=disk.disk_state, created=disk.time_created)
        self.note_zones(place, zones)
        if disk.managed_by:
            self.expected.relate(source, "attached_to", key(disk.managed_by), delete_on_termination=self.disk_ends[source])

    def address(self, address):
        user = address.ip_configuration.id if address.ip_configuration else None
        facts = told(
            address=address.ip_address, allocation=lower(address.public_ip_allocation_method),
            dns_name=address.dns_settings.fqdn if address.dns_settings else None,
        )
        source, _ = self.add("public_address", address, attributes=facts, state="associated" if user else "unassociated")
        machine = self.machine_behind(user) if user else None
        if machine:
            ends = address.delete_option == "Delete" or "/virtualMachineScaleSets/" in address.id
            self.expected.relate(source, "attached_to", machine, delete_on_termination=ends)

    def machine_behind(self, configuration):
        nic = parent(configuration, "ipConfigurations")
        return self.attached[key(nic)][0] if nic and key(nic) in self.attached else None

    def load_balancer(self, balancer):
        doors, pool_doors = [], {}
        for rule in balancer.load_balancing_rules:
            targets = {key_of(pool) for pool in [rule.backend_address_pool, *(rule.backend_address_pools or [])] if pool}
            doors += [((rule.frontend_port, word(rule.protocol)), target) for target in targets or {None}]
            for target in targets:
                pool_doors.setdefault(target, []).append((rule.backend_port, word(rule.protocol)))
        zones = [zone for one in balancer.frontend_ip_configurations for zone in one.zones or []]
        self.balancer(balancer, "load_balancer", None, zones, doors)
        for pool in balancer.backend_address_pools:
            by_address = [(one.ip_address, network_of_address(one)) for one in pool.load_balancer_backend_addresses or [] if one.ip_address]
            self.expected.pools.append((self, balancer, pool, by_address, pool_doors.get(key(pool.id), [])))

    def gateway(self, gateway):
        ports = {key(port.id): port.port for port in gateway.frontend_ports}
        settings = {key(one.id): (one.port, word(one.protocol)) for one in gateway.backend_http_settings_collection}
        listeners = {key(one.id): (ports[key_of(one.frontend_port)], word(one.protocol)) for one in gateway.http_listeners}
        maps = {key(one.id): one for one in gateway.url_path_maps}
        doors, pool_doors = [], {}
        for rule in gateway.request_routing_rules:
            ways = [(rule.backend_address_pool, rule.backend_http_settings)]
            if rule.url_path_map:
                map = maps[key_of(rule.url_path_map)]
                ways.append((map.default_backend_address_pool, map.default_backend_http_settings))
                ways += [(path.backend_address_pool, path.backend_http_settings) for path in map.path_rules]
            for pool, setting in ways:
                if pool:
                    doors.append((listeners[key_of(rule.http_listener)], key_of(pool)))
                    pool_doors.setdefault(key_of(pool), []).append(settings[key_of(setting)])
        doors += [(door, None) for door in listeners.values() if door not in {known for known, _ in doors}]
        subnet = gateway.gateway_ip_configurations[0].subnet
        self.balancer(gateway, "application_gateway", subnet, gateway.zones or [], doors, lower(gateway.operational_state))
        for pool in gateway.backend_address_pools:
            by_address = [(one.ip_address or one.fqdn, None) for one in pool.backend_addresses or []]
            self.expected.pools.append((self, gateway, pool, by_address, pool_doors.get(key(pool.id), [])))

    def network_of(self, balancer):
        own = [one.subnet for one in getattr(balancer, "gateway_ip_configurations", None) or []]
        subnets = [subnet for subnet in own + [one.subnet for one in balancer.frontend_ip_configurations] if subnet]
        return key(parent(subnets[0].id, "subnets")) if subnets else None

    def balancer(self, balancer, form, subnet, zones, doors, state=None):
        frontends = balancer.frontend_ip_configurations
        public = self.public_of(frontends)
        facts = told(
            balancer_type=form,
            scheme="internet-facing" if public else "internal",
            dns_name=next((one.dns_settings.fqdn for one in public if one.dns_settings), None),
            network=self.network_of(balancer),
            zones=each_once(f"{balancer.location}-{zone}" for zone in zones),
            addresses=each_once([one.private_ip_address for one in frontends] + [one.ip_address for one in public]),
            listeners=[told(port=port, protocol=protocol) for port, protocol in sorted({door for door, _ in doors})],
        )
        source, place = self.add("load_balancer", balancer, attributes=facts, state=state)
        self.locate(source, place)
        for pool in {pool for _, pool in doors if pool}:
            of_pool = sorted({door for door, target in doors if target == pool})
            listeners = sorted(f"{protocol}/{port}" for port, protocol in of_pool) if of_pool[1:] else None
            self.expected.relate(source, "routes_to", pool, port=of_pool[0][0], protocol=of_pool[0][1], listeners=listeners)
        self.protect(source, self.group_of_subnet[key_of(subnet)] if subnet else None)

    def pool(self, balancer, pool, by_address, doors):
        """Once all subscriptions are listed: a member by its address may lie in another."""
        members, unresolved = set(), set()
        for configuration in getattr(pool, "backend_ip_configurations", None) or []:
            machine = self.machine_behind(configuration.id)
            (members.add(machine) if machine else unresolved.add(configuration.id.lower()))
        by_nic = {
            self.attached[key(nic.id)][0]
            for nic in self.nics + self.instance_nics
            for one in nic.ip_configurations
            for target in [*(one.load_balancer_backend_address_pools or []), *(one.application_gateway_backend_address_pools or [])]
            if key(target.id) == key(pool.id)
        }
        if by_nic != members:
            raise SystemExit(f"{pool.id}: its members by interface are others than its interfaces say: {sorted(by_nic ^ members)}")
        for text, network in by_address:
            holder = self.expected.holder(network or self.network_of(balancer), text)
            (members.add(holder) if holder else unresolved.add(text))
        port, protocol = min(doors, default=(None, None))
        facts = told(
            protocol=protocol,
            port=port,
            member_type="ip" if by_address else "instance",
            network=next((network for _, network in by_address if network), None) or self.network_of(balancer),
            member_count=len(members) + len(unresolved),
            unresolved_members=sorted(unresolved),
        )
        self.put("pool", pool.id, balancer.location, f"{balancer.name}/{pool.name}", tags=balancer.tags, attributes=facts)
        for member in members:
            self.expected.relate(key(pool.id), "routes_to", member, port=port)

    def contain(self):
        for target, held in list(self.expected.resources.items()):
            group = "/".join(target.split("/")[:5])
            if held["account"] == self.id and target != group and group in self.group_of:
                self.expected.relate(group, "contains", target)

    def places(self):
        """The subscription itself, and where something lies in it."""
        itself = key(f"/subscriptions/{self.id}")
        facts = told(organization=lower(self.found.tenant_id))
        self.expected.add("account", f"/subscriptions/{self.id}", self.id, "*", self.found.display_name, facts, self.found.tags, "active")
        for place in self.regions:
            region = self.place_key(place)
            self.expected.relate(itself, "contains", region)
            self.expected.add("region", region.removeprefix("azure:"), self.id, place, place, told(display_name=self.locations[place].display_name))
        for place, zone in self.zones:
            mappings = {one.logical_zone: one.physical_zone for one in self.locations[place].availability_zone_mappings or []}
            id = self.zone_key(place, zone)
            self.expected.add("zone", id.removeprefix("azure:"), self.id, place, f"{place}-{zone}", {"zone_id": mappings.get(zone, zone)})
            self.expected.relate(id, "located_in", self.place_key(place))


def word(value):
    """A word that the SDK may know: its enums are texts, but do not print as such."""
    return getattr(value, "value", value)


def mac(nic):
    text = (nic.mac_address or "").replace("-", ":").lower()
    return text if text.strip("0:") else None


def network_of_address(address):
    return key_of(address.virtual_network) or (key(parent(address.subnet.id, "subnets")) if address.subnet else None)


def state_of(statuses, provisioning):
    codes = [status.code.lower() for status in statuses]
    word = next((code.removeprefix("powerstate/") for code in codes if code.startswith("powerstate/")), None)
    if provisioning == "Deleting":
        return "stopping", "deleting"
    if word is None:
        return ("pending", "creating") if provisioning == "Creating" else (None, None)
    states = {
        "running": "running", "creating": "pending", "starting": "pending", "stopping": "stopping", "deallocating": "stopping",
        "stopped": "stopped", "deallocated": "stopped",
    }
    return states.get(word, "unknown"), word


def rules_of(group):
    rules, open_ = [], set()
    for rule, is_default in [(rule, False) for rule in group.security_rules] + [(rule, True) for rule in group.default_security_rules]:
        made = canonical(rule, is_default)
        rules += [one for one in made if one not in rules]
        for one in made:
            if one["direction"] == "egress" or not is_world(one["peer"]):
                continue
            if "access" not in one:
                open_.add("all" if one["protocol"] == one["ports"] == "all" else f"{one['protocol']}/{one['ports']}")
            elif not is_default:
                raise SystemExit(f"{group.id}: what stays open behind {rule.name} is not worked out here")
    return {"rules": rules, "open_to_world": sorted(open_)}


def is_world(peer):
    return peer["type"] == "any" or peer.get("tag") == "Internet" or peer.get("cidr") in ("0.0.0.0/0", "::/0")


def canonical(rule, is_default):
    """One rule for each of peers × own parts × ports × ports of origin."""
    protocol = "all" if rule.protocol == "*" else rule.protocol.lower()

    def sides(prefix, prefixes, groups):
        texts = each_once([prefix, *(prefixes or [])])
        made = [peer_of(text) for text in texts] + [{"type": "application_group", "id": group.id.lower()} for group in groups or []]
        return made or [{"type": "any"}]

    def ports(one, several):
        texts = each_once([one, *(several or [])]) or ["*"]
        return ["all" if text in ("*", "0-65535") or protocol in ("icmp", "esp", "ah") else text for text in texts]

    source = sides(rule.source_address_prefix, rule.source_address_prefixes, rule.source_application_security_groups)
    target = sides(rule.destination_address_prefix, rule.destination_address_prefixes, rule.destination_application_security_groups)
    is_inbound = rule.direction == "Inbound"
    peers, own = (source, target) if is_inbound else (target, source)
    made = []
    for peer in peers:
        for part in own:
            for to in ports(rule.destination_port_range, rule.destination_port_ranges):
                for origin in ports(rule.source_port_range, rule.source_port_ranges):
                    made.append(told(
                        direction="ingress" if is_inbound else "egress", priority=rule.priority, protocol=protocol, ports=to, peer=peer,
                        description=rule.description, access=None if rule.access == "Allow" else "deny",
                        source_ports=None if origin == "all" else origin, destination=None if part["type"] == "any" else part,
                        name=rule.name, is_default=is_default or None,
                    ))
    return made


def peer_of(text):
    if text == "*":
        return {"type": "any"}
    try:
        return {"type": "cidr", "cidr": str(ipaddress.ip_network(text, strict=False))}
    except ValueError:
        return {"type": "service_tag", "tag": text}


def listed():
    expected = Expected()
    subscriptions = client(SubscriptionClient)
    held = []
    for found in subscriptions.subscriptions.list():
        places = subscriptions.subscriptions.list_locations(found.subscription_id)
        held.append(Subscription(expected, found, places))
    for subscription in held:
        subscription.fill()
    for subscription, *pool in expected.pools:
        subscription.pool(*pool)
    for subscription in held:
        subscription.contain()
        subscription.places()
    return expected


def shown(value):
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return f"[{', '.join(value)}]"
    return value if isinstance(value, str) else json.dumps(value, default=str)


def unlike(name, found, wanted):
    """Where two values differ; of lists that hold objects, what each has alone."""
    if isinstance(found, list) and isinstance(wanted, list) and any(isinstance(one, dict) for one in found + wanted):
        more, less = [one for one in found if one not in wanted], [one for one in wanted if one not in found]
        if more or less or len(found) != len(wanted):
            yield f"{name}: Dewpoint alone has {shown(more)}, the SDKs alone {shown(less)}"
    elif found != wanted:
        yield f"{name}: {shown(found)}, by the SDKs {shown(wanted)}"


def compare(what, found, wanted):
    for name in sorted(found.keys() | wanted.keys()):
        if name not in wanted:
            yield f"{what}{name} is {shown(found[name])}, by the SDKs it is not there"
        elif name not in found:
            yield f"{what}{name} is not there, by the SDKs it is {shown(wanted[name])}"
        elif isinstance(wanted[name], dict):
            yield from compare(f"{what}{name}.", found[name], wanted[name])
        else:
            yield from unlike(f"{what}{name}", found[name], wanted[name])


def differences(inventory, expected):
    found = {}
    for resource in inventory["resources"]:
        held = {name: resource.get(name) for name in next(iter(expected.resources.values()))}
        held["attributes"].pop("rules_digest", None)
        # The same id has another case in each API.
        held["native_id"] = held["native_id"].lower()
        held["created_at"] = held["created_at"] and moment(datetime.datetime.fromisoformat(held["created_at"]))
        found[resource["key"]] = held
    relations = {(edge["from"], edge["type"], edge["to"]): edge["attributes"] for edge in inventory["relations"]}
    yield from both(found, expected.resources, str)
    yield from both(relations, expected.relations, lambda edge: f"{edge[0]} {edge[1]} {edge[2]}")
    yield from compare("unread: ", inventory["unread"], expected.unread)
    counts = {}
    for held in expected.resources.values():
        counts[held["account"], held["kind"]] = counts.get((held["account"], held["kind"]), 0) + 1
    for receipt in inventory["receipts"]:
        wanted = ("complete", counts.pop((receipt["account"], receipt["kind"]), 0))
        if (receipt["outcome"], receipt["count"]) != wanted:
            yield f"receipt of {receipt['kind']} in {receipt['account']}: {receipt['outcome']}, {receipt['count']}, by the SDKs {wanted[1]}"
    for account, kind in sorted(counts):
        yield f"receipt of {kind} in {account} is missing"


def both(found, wanted, name):
    for one in sorted(found.keys() | wanted.keys()):
        if one not in found:
            yield f"{name(one)} is missing"
        elif one not in wanted:
            yield f"{name(one)} is Dewpoint's alone"
        else:
            yield from compare(f"{name(one)}: ", found[one], wanted[one])


def main():
    expected, failed = listed(), False
    if not expected.resources:
        raise SystemExit("the SDKs list nothing")
    kinds = {}
    for held in expected.resources.values():
        kinds[held["kind"]] = kinds.get(held["kind"], 0) + 1
    for path in INVENTORIES:
        with open(path) as file:
            found = list(differences(json.load(file), expected))
        if found:
            failed = True
            print(f"{path}: {len(found)} difference{'s' if found[1:] else ''}", *found[:TOLD], *(["…"] if found[TOLD:] else []), "", sep="\n")
        else:
            print(f"{path}: the same {len(expected.resources)} resources and {len(expected.relations)} edges: {json.dumps(kinds)}", end="\n\n")
    sys.exit(failed)


main()
