"""What boto3 lists of an account, in the words that the tests compare with what Dewpoint says. For tests.

`region(clients, account, name)` and `account(clients, account)` return resources by key:

    {"kind", "native_id", "region", "name", "state", "tags": {}, "facts": {name: [texts, sorted]}, "edges": ["type key", …]}

Facts without a value are left out. Written against the AWS API reference, apart from Dewpoint's own code.
"""

import datetime

ONE_WORD_STATES = {"shutting-down": "stopping"}


def pages(client, call, name, **arguments):
    """All items of a listing, whether boto3 can page it or not."""
    if client.can_paginate(call):
        return client.get_paginator(call).paginate(**arguments).build_full_result().get(name, [])
    return getattr(client, call)(**arguments).get(name, [])


def text(value):
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def resource(kind, native_id, region, name=None, state=None, tags=(), facts=None, edges=()):
    facts = facts or {}
    kept = {}
    for fact, value in facts.items():
        values = value if isinstance(value, (list, set, tuple)) else [value]
        values = sorted({text(one) for one in values if one not in (None, "")})
        if values:
            kept[fact] = values
    tags = {tag["Key"]: tag.get("Value", "") for tag in tags}
    return {
        "kind": kind, "native_id": native_id, "region": region, "name": name or tags.get("Name") or None, "state": state or None, "tags": tags,
        "facts": kept, "edges": sorted(set(edges)),
    }


class Place:
    def __init__(self, clients, account, region):
        self.clients, self.account, self.region = clients, account, region

    def client(self, service):
        return self.clients(service, self.region)

    def key(self, kind, native_id):
        return f"aws:arn:aws:ec2:{self.region}:{self.account}:{kind}/{native_id}"

    def optional(self, kind, native_id):
        return self.key(kind, native_id) if native_id else None

    def zone(self, name):
        return self.key("availability-zone", name)

    def here(self):
        return self.key("region", self.region)

    def groups(self, items):
        return [f"protected_by {self.key('security-group', item['GroupId'])}" for item in items]


def addresses(item):
    parts = [item, *item.get("PrivateIpAddresses", [])]
    private = {part.get("PrivateIpAddress") for part in parts}
    public = {part.get("Association", {}).get("PublicIp") for part in parts} | {item.get("PublicIpAddress")}
    return private, public


def region(clients, account, name):
    place = Place(clients, account, name)
    seen = {place.here(): resource("region", name, name, name=name, facts={"display_name": name})}
    members = {}
    for lister in (zones, networks, subnets, security_groups, interfaces, volumes, elastic_addresses, balancers, pools, classic_balancers):
        seen.update(lister(place))
    seen.update(scaling_groups(place, members))
    seen.update(instances(place, members))
    return seen


def zones(place):
    for zone in pages(place.client("ec2"), "describe_availability_zones", "AvailabilityZones"):
        name = zone["ZoneName"]
        yield place.zone(name), resource(
            "zone", name, place.region, name=name, state=zone["State"], facts={"zone_id": zone["ZoneId"]}, edges=[f"located_in {place.here()}"])


def networks(place):
    for vpc in pages(place.client("ec2"), "describe_vpcs", "Vpcs"):
        cidrs = {row["CidrBlock"] for row in vpc.get("CidrBlockAssociationSet", [])} | {vpc.get("CidrBlock")}
        cidrs |= {row["Ipv6CidrBlock"] for row in vpc.get("Ipv6CidrBlockAssociationSet", [])}
        yield place.key("vpc", vpc["VpcId"]), resource(
            "network", vpc["VpcId"], place.region, state=vpc["State"], tags=vpc.get("Tags", []),
            facts={"cidrs": cidrs, "is_default": vpc["IsDefault"]}, edges=[f"located_in {place.here()}"])


def subnets(place):
    for subnet in pages(place.client("ec2"), "describe_subnets", "Subnets"):
        zone, network = subnet["AvailabilityZone"], place.key("vpc", subnet["VpcId"])
        yield place.key("subnet", subnet["SubnetId"]), resource(
            "subnet", subnet["SubnetId"], place.region, state=subnet["State"], tags=subnet.get("Tags", []),
            facts={"cidrs": [subnet["CidrBlock"]], "zone": zone, "network": network, "is_default": subnet["DefaultForAz"]},
            edges=[f"located_in {network}", f"located_in {place.zone(zone)}"])


def security_groups(place):
    for group in pages(place.client("ec2"), "describe_security_groups", "SecurityGroups"):
        rules, world, edges = set(), set(), set()
        for direction, field in (("ingress", "IpPermissions"), ("egress", "IpPermissionsEgress")):
            for permission in group.get(field, []):
                protocol = permission["IpProtocol"].replace("-1", "all")
                low, high = permission.get("FromPort"), permission.get("ToPort")
                ports = "all" if low is None or high is None or low < 0 else str(low) if low == high else f"{low}-{high}"
                ranges = [row["CidrIp"] for row in permission.get("IpRanges", [])]
                pairs = permission.get("UserIdGroupPairs", [])
                rules |= {f"{direction} {protocol} {ports} {peer}" for peer in ranges + [pair["GroupId"] for pair in pairs]}
                if direction == "ingress" and "0.0.0.0/0" in ranges:
                    world.add("all" if protocol == "all" else f"{protocol}/{ports}")
                edges |= {
                    f"allows aws:arn:aws:ec2:{place.region}:{pair['UserId']}:security-group/{pair['GroupId']}" for pair in pairs if pair.get("UserId")}
        yield place.key("security-group", group["GroupId"]), resource(
            "security_group", group["GroupId"], place.region, name=group["GroupName"], tags=group.get("Tags", []), edges=edges,
            facts={"description": group["Description"], "network": place.optional("vpc", group.get("VpcId")), "rules": rules, "open_to_world": world})


def interfaces(place):
    for interface in pages(place.client("ec2"), "describe_network_interfaces", "NetworkInterfaces"):
        private, public = addresses(interface)
        attachment = interface.get("Attachment", {})
        edges = place.groups(interface.get("Groups", [])) + [f"connected_to {place.key('subnet', interface['SubnetId'])}"]
        if attachment.get("InstanceId") and attachment.get("InstanceOwnerId") == place.account:
            edges.append(f"attached_to {place.key('instance', attachment['InstanceId'])}")
        yield place.key("network-interface", interface["NetworkInterfaceId"]), resource(
            "network_interface", interface["NetworkInterfaceId"], place.region, state=interface["Status"], tags=interface.get("TagSet", []), edges=edges,
            facts={
                "zone": interface.get("AvailabilityZone"), "private_addresses": private, "public_addresses": public, "mac": interface.get("MacAddress"),
                "description": interface.get("Description"), "delete_on_termination": attachment.get("DeleteOnTermination"),
                "network": place.key("vpc", interface["VpcId"]), "subnet": place.key("subnet", interface["SubnetId"]),
            })


def volumes(place):
    for volume in pages(place.client("ec2"), "describe_volumes", "Volumes"):
        edges = [f"attached_to {place.key('instance', row['InstanceId'])}" for row in volume.get("Attachments", []) if row.get("InstanceId")]
        yield place.key("volume", volume["VolumeId"]), resource(
            "volume", volume["VolumeId"], place.region, state=volume["State"], tags=volume.get("Tags", []), edges=edges,
            facts={
                "size_gib": volume["Size"], "volume_type": volume.get("VolumeType"), "encrypted": volume["Encrypted"],
                "zone": volume["AvailabilityZone"], "iops": volume.get("Iops"), "created_at": volume.get("CreateTime"),
            })


def elastic_addresses(place):
    for address in pages(place.client("ec2"), "describe_addresses", "Addresses"):
        edges = [f"attached_to {place.key('instance', address['InstanceId'])}"] if address.get("InstanceId") else []
        yield place.key("elastic-ip", address["AllocationId"]), resource(
            "public_address", address["AllocationId"], place.region, tags=address.get("Tags", []), edges=edges,
            state="associated" if address.get("AssociationId") else "unassociated", facts={"address": address["PublicIp"], "allocation": "static"})


def scaling_groups(place, members):
    for group in pages(place.client("autoscaling"), "describe_auto_scaling_groups", "AutoScalingGroups"):
        key = f"aws:{group['AutoScalingGroupARN']}"
        for instance in group["Instances"]:
            members[instance["InstanceId"]] = key
        yield key, resource(
            "scaling_group", group["AutoScalingGroupName"], place.region, name=group["AutoScalingGroupName"], tags=group.get("Tags", []),
            facts={
                "min_size": group["MinSize"], "max_size": group["MaxSize"], "desired_size": group["DesiredCapacity"],
                "zones": group["AvailabilityZones"], "sizes": [row.get("InstanceType") for row in group["Instances"]],
                "launch_template": group.get("LaunchTemplate", {}).get("LaunchTemplateId") or group.get("LaunchConfigurationName"),
                "member_count": len(group["Instances"]), "created_at": group.get("CreatedTime"),
            })


def instances(place, members):
    client = place.client("ec2")
    found = [row for reservation in pages(client, "describe_instances", "Reservations") for row in reservation["Instances"]]
    names = sorted({row["InstanceType"] for row in found})
    types = {row["InstanceType"]: row for row in client.describe_instance_types(InstanceTypes=names)["InstanceTypes"]} if names else {}
    for instance in found:
        attached = instance.get("NetworkInterfaces", [])
        private, public = addresses(instance)
        for interface in attached:
            more_private, more_public = addresses(interface)
            private, public = private | more_private, public | more_public
        groups = instance.get("SecurityGroups", []) + [group for interface in attached for group in interface.get("Groups", [])]
        zone, size, state = instance["Placement"]["AvailabilityZone"], types[instance["InstanceType"]], instance["State"]["Name"]
        edges = place.groups(groups) + [f"located_in {place.zone(zone)}"]
        if instance["InstanceId"] in members:
            edges.append(f"member_of {members[instance['InstanceId']]}")
        options = instance.get("CpuOptions", {})
        # Its first interface and its root volume are as old as the machine; the launch time is that of its last start.
        births = [interface["Attachment"].get("AttachTime") for interface in attached if interface.get("Attachment", {}).get("DeviceIndex") == 0]
        births += [row["Ebs"].get("AttachTime") for row in instance.get("BlockDeviceMappings", []) if row["DeviceName"] == instance.get("RootDeviceName")]
        vcpus = options["CoreCount"] * options["ThreadsPerCore"] if options.get("CoreCount") else size["VCpuInfo"]["DefaultVCpus"]
        yield place.key("instance", instance["InstanceId"]), resource(
            "instance", instance["InstanceId"], place.region, state=ONE_WORD_STATES.get(state, state), tags=instance.get("Tags", []), edges=edges,
            facts={
                "size": instance["InstanceType"], "vcpus": vcpus, "memory_mib": size["MemoryInfo"]["SizeInMiB"], "image": instance["ImageId"],
                "zone": zone, "architecture": instance.get("Architecture"), "purchase": instance.get("InstanceLifecycle") or "on_demand",
                "private_addresses": private, "public_addresses": public, "macs": [interface.get("MacAddress") for interface in attached],
                "network": place.optional("vpc", instance.get("VpcId")), "subnet": place.optional("subnet", instance.get("SubnetId")),
                "created_at": min(birth for birth in births + [instance["LaunchTime"]] if birth),
            })


def balancers(place):
    client = place.client("elbv2")
    for balancer in pages(client, "describe_load_balancers", "LoadBalancers"):
        arn, name = balancer["LoadBalancerArn"], balancer["LoadBalancerName"]
        doors, targets = [], set()
        for listener in pages(client, "describe_listeners", "Listeners", LoadBalancerArn=arn):
            doors.append(f"{listener['Protocol']}/{listener['Port']}")
            rules = pages(client, "describe_rules", "Rules", ListenerArn=listener["ListenerArn"]) if balancer["Type"] == "application" else []
            for action in listener.get("DefaultActions", []) + [action for rule in rules for action in rule["Actions"]]:
                weighted = [row["TargetGroupArn"] for row in action.get("ForwardConfig", {}).get("TargetGroups", [])]
                targets |= set(weighted) | ({action["TargetGroupArn"]} if action.get("TargetGroupArn") else set())
        edges = place.groups([{"GroupId": group} for group in balancer.get("SecurityGroups", [])]) + [f"routes_to aws:{target}" for target in targets]
        yield f"aws:{arn}", resource(
            "load_balancer", name, place.region, name=name, state=balancer["State"]["Code"], edges=edges,
            tags=client.describe_tags(ResourceArns=[arn])["TagDescriptions"][0]["Tags"],
            facts={
                "balancer_type": balancer["Type"], "scheme": balancer.get("Scheme"), "dns_name": balancer["DNSName"], "listeners": doors,
                "network": place.optional("vpc", balancer.get("VpcId")), "zones": [zone["ZoneName"] for zone in balancer["AvailabilityZones"]],
                "created_at": balancer.get("CreatedTime"),
            })


def pools(place):
    client = place.client("elbv2")
    for group in pages(client, "describe_target_groups", "TargetGroups"):
        arn, name = group["TargetGroupArn"], group["TargetGroupName"]
        rows = client.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        yield f"aws:{arn}", resource(
            "pool", name, place.region, name=name, tags=client.describe_tags(ResourceArns=[arn])["TagDescriptions"][0]["Tags"],
            edges=[f"routes_to {place.key('instance', row['Target']['Id'])}" for row in rows],
            facts={
                "protocol": group.get("Protocol"), "port": group.get("Port"), "member_type": group["TargetType"], "member_count": len(rows),
                "healthy_count": len([row for row in rows if row["TargetHealth"]["State"] == "healthy"]),
                "network": place.optional("vpc", group.get("VpcId")),
            })


def classic_balancers(place):
    client = place.client("elb")
    for balancer in pages(client, "describe_load_balancers", "LoadBalancerDescriptions"):
        name = balancer["LoadBalancerName"]
        key = f"aws:arn:aws:elasticloadbalancing:{place.region}:{place.account}:loadbalancer/{name}"
        tags = client.describe_tags(LoadBalancerNames=[name])["TagDescriptions"][0]["Tags"]
        states = client.describe_instance_health(LoadBalancerName=name)["InstanceStates"] if balancer["Instances"] else []
        listeners = [row["Listener"] for row in balancer["ListenerDescriptions"]]
        first = min(listeners, key=lambda listener: listener["LoadBalancerPort"])
        network = place.optional("vpc", balancer.get("VPCId"))
        yield key, resource(
            "load_balancer", name, place.region, name=name, tags=tags,
            edges=place.groups([{"GroupId": group} for group in balancer.get("SecurityGroups", [])]) + [f"routes_to {key}/members"],
            facts={
                "balancer_type": "classic", "scheme": balancer.get("Scheme"), "dns_name": balancer["DNSName"], "network": network,
                "listeners": [f"{listener['Protocol']}/{listener['LoadBalancerPort']}" for listener in listeners],
                "zones": balancer["AvailabilityZones"], "created_at": balancer.get("CreatedTime"),
            })
        yield f"{key}/members", resource(
            "pool", name, place.region, name=name, tags=tags,
            edges=[f"routes_to {place.key('instance', row['InstanceId'])}" for row in balancer["Instances"]],
            facts={
                "protocol": first.get("InstanceProtocol") or first["Protocol"], "port": first["InstancePort"], "member_type": "instance",
                "member_count": len(balancer["Instances"]), "healthy_count": len([row for row in states if row["State"] == "InService"]), "network": network,
            })


def account(clients, number, home):
    rows = clients("ec2", home).describe_regions(AllRegions=True)["Regions"]
    edges = [f"contains aws:arn:aws:ec2:{row['RegionName']}:{number}:region/{row['RegionName']}" for row in rows]
    return {f"aws:arn:aws:iam::{number}:root": resource("account", number, "*", state="active", edges=edges)}
