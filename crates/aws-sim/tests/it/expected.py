"""What boto3 should say about the parts of a world, as GET /_sim/world gives it.

Written from the API reference, not from the simulator.
"""

import json


def given(**fields):
    """Fields without those that have no value."""
    return {name: value for name, value in fields.items() if value is not None}


def tags(of):
    return [{"Key": key, "Value": value} for key, value in of.items()]


def operator(of):
    if of is None:
        return {"Managed": False}
    return {"Managed": True, "Principal": of["principal"], "HiddenByDefault": False}


def private_dns(region, ip):
    return f"ip-{ip.replace('.', '-')}." + ("ec2.internal" if region == "us-east-1" else f"{region}.compute.internal")


def public_dns(region, ip):
    return f"ec2-{ip.replace('.', '-')}." + ("compute-1" if region == "us-east-1" else f"{region}.compute") + ".amazonaws.com"


def groups(place, ids):
    return [given(GroupId=id, GroupName=place["groups"].get(id, {}).get("name")) for id in ids]


def association(place, address, with_ids):
    public = address["public"]
    if public is None:
        return None
    found = {
        "PublicIp": public["ip"],
        "PublicDnsName": public_dns(place["name"], public["ip"]),
        "IpOwnerId": place["account"] if public["allocation"] else "amazon",
    }
    if with_ids and public["allocation"]:
        found["AllocationId"] = public["allocation"]
        found["AssociationId"] = place["addresses"][public["allocation"]]["association"]
    return found


def interface_common(place, one, with_ids):
    first = one["addresses"][0] if one["addresses"] else None
    return given(
        NetworkInterfaceId=one["id"],
        SubnetId=one["subnet"],
        VpcId=one["vpc"],
        Description=one["description"],
        OwnerId=one["owner"] or place["account"],
        MacAddress=one["mac"],
        PrivateIpAddress=first and first["ip"],
        PrivateDnsName=first and private_dns(place["name"], first["ip"]),
        SourceDestCheck=one["source_dest_check"],
        Groups=groups(place, one["groups"]),
        Association=first and association(place, first, with_ids),
        PrivateIpAddresses=[
            given(PrivateIpAddress=address["ip"], Primary=index == 0, Association=association(place, address, with_ids))
            for index, address in enumerate(one["addresses"])
        ],
        Ipv6Addresses=[{"Ipv6Address": ip} for ip in one["ipv6"]],
        Ipv4Prefixes=[{"Ipv4Prefix": prefix} for prefix in one["ipv4_prefixes"]],
        InterfaceType=one["kind"],
        Operator=operator(one["operator"]),
    )


def attachment_common(one):
    return {
        "AttachmentId": one["id"],
        "DeviceIndex": one["device_index"],
        "NetworkCardIndex": one["card"],
        "Status": "attached",
        "AttachTime": one["attached"],
        "DeleteOnTermination": one["delete_on_termination"],
    }


def interface(place, one):
    found = interface_common(place, one, True)
    found |= given(
        AvailabilityZone=one["zone"],
        RequesterId=one["requester"],
        RequesterManaged=one["requester_managed"],
        Status="in-use" if one["attachment"] else "available",
        TagSet=tags(one["tags"]),
    )
    if one["attachment"]:
        found["Attachment"] = attachment_common(one["attachment"]) | given(
            InstanceId=one["attachment"]["instance"], InstanceOwnerId=one["attachment"]["instance_owner"] or place["account"]
        )
    return found


STATES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}


def instance(place, one):
    gone = one["state"] == "terminated"
    mine = [it for it in place["interfaces"].values() if it["attachment"] and it["attachment"]["instance"] == one["id"] and not gone]
    mine.sort(key=lambda it: it["attachment"]["device_index"])
    primary = mine[0] if mine else None
    address = primary["addresses"][0] if primary and primary["addresses"] else None
    public = address and address["public"]
    disks = [(disk, at) for disk in place["volumes"].values() for at in disk["attachments"] if at["instance"] == one["id"] and not gone]
    zone = place["zones"].get(one["zone"])
    found = given(
        InstanceId=one["id"],
        ImageId=one["image"],
        State={"Code": STATES[one["state"]], "Name": one["state"]},
        PrivateDnsName=private_dns(place["name"], address["ip"]) if address else "",
        PublicDnsName=public_dns(place["name"], public["ip"]) if public else "",
        StateTransitionReason=one["transition_reason"] or "",
        KeyName=one["key_name"],
        InstanceType=one["instance_type"],
        LaunchTime=one["launched"],
        Placement=given(
            AvailabilityZone=one["zone"],
            AvailabilityZoneId=zone and zone["id"],
            GroupName=one["placement_group"] or "",
            Tenancy=one["tenancy"],
            HostId=one["host"],
        ),
        Platform=one["platform"],
        SubnetId=primary and primary["subnet"],
        VpcId=primary and primary["vpc"],
        PrivateIpAddress=address and address["ip"],
        PublicIpAddress=public and public["ip"],
        SourceDestCheck=primary and primary["source_dest_check"],
        Ipv6Address=primary["ipv6"][0] if primary and primary["ipv6"] else None,
        SecurityGroups=groups(place, primary["groups"] if primary else []),
        StateReason=one["state_reason"] and {"Code": one["state_reason"]["code"], "Message": one["state_reason"]["message"]},
        Architecture=one["architecture"],
        RootDeviceName=one["root_device"],
        BlockDeviceMappings=[
            {
                "DeviceName": at["device"],
                "Ebs": {
                    "VolumeId": disk["id"],
                    "Status": "attached",
                    "AttachTime": at["attached"],
                    "DeleteOnTermination": at["delete_on_termination"],
                },
            }
            for disk, at in disks
        ],
        InstanceLifecycle=one["lifecycle"],
        SpotInstanceRequestId=one["spot_request"],
        Tags=tags(one["tags"]),
        NetworkInterfaces=[
            interface_common(place, it, False) | {"Status": "in-use", "Attachment": attachment_common(it["attachment"])} for it in mine
        ],
        CpuOptions=one["cpu"] and {"CoreCount": one["cpu"]["cores"], "ThreadsPerCore": one["cpu"]["threads"]},
        OutpostArn=one["outpost"],
        PlatformDetails=one["platform_details"],
        UsageOperation=one["usage_operation"],
        Operator=operator(one["operator"]),
        # The same for every machine.
        AmiLaunchIndex=0,
        ProductCodes=[],
        Monitoring={"State": "disabled"},
        RootDeviceType="ebs",
        VirtualizationType="hvm",
        Hypervisor="xen",
        EbsOptimized=True,
        EnaSupport=True,
        MetadataOptions={"State": "applied", "HttpTokens": one["http_tokens"], "HttpPutResponseHopLimit": 2, "HttpEndpoint": "enabled"},
    )
    return found


def volume(_, one):
    return given(
        VolumeId=one["id"],
        Size=one["size"],
        SnapshotId=one["snapshot"] or "",
        AvailabilityZone=one["zone"],
        State=one["state"] or ("in-use" if one["attachments"] else "available"),
        CreateTime=one["created"],
        Attachments=[
            {
                "VolumeId": one["id"],
                "InstanceId": at["instance"],
                "Device": at["device"],
                "State": "attached",
                "AttachTime": at["attached"],
                "DeleteOnTermination": at["delete_on_termination"],
            }
            for at in one["attachments"]
        ],
        Tags=tags(one["tags"]),
        VolumeType=one["kind"],
        Iops=one["iops"],
        Throughput=one["throughput"],
        Encrypted=one["encrypted"],
        KmsKeyId=one["kms_key"],
        MultiAttachEnabled=one["multi_attach"],
        Operator=operator(one["operator"]),
    )


def permissions(place, given_permissions):
    grouped = {}
    for one in given_permissions:
        ports = (None, None) if one["protocol"] == "-1" else (one["from"], one["to"])
        entry = grouped.setdefault(
            (one["protocol"], *ports),
            given(IpProtocol=one["protocol"], FromPort=ports[0], ToPort=ports[1]) | {"UserIdGroupPairs": [], "IpRanges": [], "Ipv6Ranges": [], "PrefixListIds": []},
        )
        for name, field, peers in [("IpRanges", "CidrIp", "ipv4"), ("Ipv6Ranges", "CidrIpv6", "ipv6"), ("PrefixListIds", "PrefixListId", "prefix_lists")]:
            entry[name] += [given(**{field: peer["value"], "Description": peer["description"]}) for peer in one[peers]]
        for pair in one["groups"]:
            own = pair["user"] in (None, place["account"])
            user = (place["account"] if pair["group"] in place["groups"] else None) if own else pair["user"]
            entry["UserIdGroupPairs"].append(
                given(
                    GroupId=pair["group"],
                    UserId=user,
                    VpcId=pair["vpc"],
                    VpcPeeringConnectionId=pair["peering"],
                    PeeringStatus=pair["peering_status"],
                    Description=pair["description"],
                )
            )
    return list(grouped.values())


def group(place, one):
    owner = one["owner"] or place["account"]
    return {
        "GroupId": one["id"],
        "GroupName": one["name"],
        "Description": one["description"],
        "VpcId": one["vpc"],
        "OwnerId": owner,
        "IpPermissions": permissions(place, one["ingress"]),
        "IpPermissionsEgress": permissions(place, one["egress"]),
        "Tags": tags(one["tags"]),
        "SecurityGroupArn": f"arn:aws:ec2:{place['name']}:{owner}:security-group/{one['id']}",
    }


def vpc(place, one):
    return {
        "VpcId": one["id"],
        "OwnerId": one["owner"] or place["account"],
        "State": "available",
        "CidrBlock": one["cidrs"][0],
        "CidrBlockAssociationSet": [{"CidrBlock": cidr, "CidrBlockState": {"State": "associated"}} for cidr in one["cidrs"]],
        "Ipv6CidrBlockAssociationSet": [{"Ipv6CidrBlock": cidr, "Ipv6CidrBlockState": {"State": "associated"}} for cidr in one["ipv6_cidrs"]],
        "Tags": tags(one["tags"]),
        "InstanceTenancy": "default",
        "IsDefault": one["default"],
    }


def subnet(place, one):
    owner = one["owner"] or place["account"]
    return {
        "SubnetId": one["id"],
        "SubnetArn": f"arn:aws:ec2:{place['name']}:{owner}:subnet/{one['id']}",
        "State": "available",
        "OwnerId": owner,
        "VpcId": one["vpc"],
        "CidrBlock": one["cidr"],
        "Ipv6CidrBlockAssociationSet": [{"Ipv6CidrBlock": cidr, "Ipv6CidrBlockState": {"State": "associated"}} for cidr in one["ipv6_cidrs"]],
        "AvailableIpAddressCount": one["free"],
        "AvailabilityZone": one["zone"],
        "AvailabilityZoneId": place["zones"][one["zone"]]["id"],
        "DefaultForAz": False,
        "MapPublicIpOnLaunch": one["public"],
        "Tags": tags(one["tags"]),
        "AssignIpv6AddressOnCreation": False,
    }


def address(place, one):
    return given(
        PublicIp=one["ip"],
        AllocationId=one["allocation"],
        Domain="vpc",
        InstanceId=one["instance"],
        AssociationId=one["association"],
        NetworkInterfaceId=one["interface"],
        NetworkInterfaceOwnerId=one["interface"] and place["account"],
        PrivateIpAddress=one["private_ip"],
        Tags=tags(one["tags"]),
        PublicIpv4Pool="amazon",
        NetworkBorderGroup=place["name"],
        ServiceManaged=one["service_managed"],
    )


def balancer(_, one):
    found = given(
        LoadBalancerArn=one["arn"],
        LoadBalancerName=one["name"],
        DNSName=one["dns"],
        CreatedTime=one["created"],
        Scheme=one["scheme"],
        VpcId=one["vpc"],
        State={"Code": one["state"]},
        Type=one["kind"],
        AvailabilityZones=[
            {"ZoneName": zone["zone"], "SubnetId": zone["subnet"], "LoadBalancerAddresses": [{"IpAddress": ip} for ip in zone["ips"]]}
            for zone in one["zones"]
        ],
        IpAddressType=one["ip_type"],
    )
    if one["kind"] == "application" or one["groups"]:
        found["SecurityGroups"] = one["groups"]
    return found


def action(order, one):
    [(kind, fields)] = one.items()
    found = {"Order": order}
    if kind == "forward":
        found |= {
            "Type": "forward",
            "ForwardConfig": {
                "TargetGroups": [{"TargetGroupArn": it["arn"], "Weight": it["weight"]} for it in fields["groups"]],
                "TargetGroupStickinessConfig": {"Enabled": False},
            },
        }
        if len(fields["groups"]) == 1:
            found["TargetGroupArn"] = fields["groups"][0]["arn"]
    elif kind == "forward_arn":
        found |= {"Type": "forward", "TargetGroupArn": fields["group"]}
    elif kind == "redirect":
        found |= {
            "Type": "redirect",
            "RedirectConfig": {
                "Protocol": fields["protocol"],
                "Port": fields["port"],
                "Host": "#{host}",
                "Path": "/#{path}",
                "Query": "#{query}",
                "StatusCode": fields["status"],
            },
        }
    else:
        found |= {
            "Type": "fixed-response",
            "FixedResponseConfig": given(StatusCode=fields["status"], ContentType="text/plain", MessageBody=fields["body"]),
        }
    return found


def actions(of):
    return [action(order, one) for order, one in enumerate(of, 1)]


def listener(of, one):
    return given(
        ListenerArn=one["arn"],
        LoadBalancerArn=of,
        Port=one["port"],
        Protocol=one["protocol"],
        Certificates=[{"CertificateArn": it["arn"]} for it in one["certificates"][:1]],
        SslPolicy=one["tls_policy"],
        DefaultActions=actions(one["actions"]),
    )


def rule(one):
    def condition(it):
        config = {"host-header": "HostHeaderConfig", "path-pattern": "PathPatternConfig"}[it["field"]]
        return {"Field": it["field"], "Values": it["values"], config: {"Values": it["values"]}}

    return {
        "RuleArn": one["arn"],
        "Priority": str(one["priority"]),
        "Conditions": [condition(it) for it in one["conditions"]],
        "Actions": actions(one["actions"]),
        "IsDefault": False,
    }


def target_group(place, one):
    def uses(balancer):
        everything = [it for ear in balancer["listeners"].values() for it in ear["actions"] + [deed for rule in ear["rules"] for deed in rule["actions"]]]
        return one["arn"] in json.dumps(everything)

    check = one["health_check"]
    is_lambda = one["kind"] == "lambda"
    return given(
        TargetGroupArn=one["arn"],
        TargetGroupName=one["name"],
        Protocol=one["protocol"],
        Port=one["port"],
        VpcId=one["vpc"],
        HealthCheckProtocol=None if is_lambda else check["protocol"],
        HealthCheckPort=None if is_lambda else check["port"],
        HealthCheckEnabled=not is_lambda,
        HealthCheckIntervalSeconds=30,
        HealthCheckTimeoutSeconds=5,
        HealthyThresholdCount=5,
        UnhealthyThresholdCount=2,
        HealthCheckPath=check["path"],
        LoadBalancerArns=[it["arn"] for it in place["balancers"].values() if uses(it)],
        TargetType=one["kind"],
        IpAddressType="ipv4",
    )


def target(one):
    return given(
        Target=given(Id=one["id"], Port=one["port"], AvailabilityZone=one["zone"]),
        HealthCheckPort=one["port"] and str(one["port"]),
        TargetHealth=given(State=one["state"], Reason=one["reason"], Description=one["description"]),
    )


def classic(_, one):
    return given(
        LoadBalancerName=one["name"],
        DNSName=one["dns"],
        ListenerDescriptions=[
            {
                "Listener": given(
                    Protocol=it["protocol"],
                    LoadBalancerPort=it["port"],
                    InstanceProtocol=it["instance_protocol"],
                    InstancePort=it["instance_port"],
                    SSLCertificateId=it["certificate"],
                ),
                "PolicyNames": [],
            }
            for it in one["listeners"]
        ],
        AvailabilityZones=one["zones"],
        Subnets=one["subnets"],
        VPCId=one["vpc"],
        Instances=[{"InstanceId": id} for id in one["instances"]],
        HealthCheck={
            "Target": one["health_check"]["target"],
            "Interval": one["health_check"]["interval"],
            "Timeout": one["health_check"]["timeout"],
            "UnhealthyThreshold": one["health_check"]["unhealthy"],
            "HealthyThreshold": one["health_check"]["healthy"],
        },
        SecurityGroups=one["groups"],
        CreatedTime=one["created"],
        Scheme=one["scheme"],
    )


def template(one):
    return one and {"LaunchTemplateId": one["id"], "LaunchTemplateName": one["name"], "Version": one["version"]}


def scaling_group(place, one):
    mixed = one["mixed"]
    found = given(
        AutoScalingGroupName=one["name"],
        AutoScalingGroupARN=one["arn"],
        LaunchConfigurationName=one["configuration"],
        LaunchTemplate=template(one["template"]),
        MixedInstancesPolicy=mixed
        and {
            "LaunchTemplate": {
                "LaunchTemplateSpecification": template(mixed["template"]),
                "Overrides": [given(InstanceType=it["instance_type"], WeightedCapacity=it["weight"] and str(it["weight"])) for it in mixed["overrides"]],
            },
            "InstancesDistribution": {
                "OnDemandAllocationStrategy": "prioritized",
                "OnDemandBaseCapacity": mixed["distribution"]["on_demand_base"],
                "OnDemandPercentageAboveBaseCapacity": mixed["distribution"]["on_demand_percent"],
                "SpotAllocationStrategy": mixed["distribution"]["spot_strategy"],
            },
        },
        MinSize=one["min"],
        MaxSize=one["max"],
        DesiredCapacity=one["desired"],
        DefaultCooldown=300,
        AvailabilityZones=one["zones"],
        LoadBalancerNames=one["balancers"],
        TargetGroupARNs=one["target_groups"],
        HealthCheckType=one["health_check"],
        HealthCheckGracePeriod=300,
        CreatedTime=one["created"],
        EnabledMetrics=[],
        Status=one["status"],
        Tags=[
            {"ResourceId": one["name"], "ResourceType": "auto-scaling-group", "Key": key, "Value": tag["value"], "PropagateAtLaunch": tag["propagate"]}
            for key, tag in one["tags"].items()
        ],
        TerminationPolicies=["Default"],
        NewInstancesProtectedFromScaleIn=False,
        TrafficSources=[{"Identifier": arn, "Type": "elbv2"} for arn in one["target_groups"]]
        + [{"Identifier": name, "Type": "elb"} for name in one["balancers"]],
    )
    found["Instances"] = [
        given(
            InstanceId=id,
            InstanceType=place["instances"].get(id, {}).get("instance_type"),
            AvailabilityZone=place["instances"].get(id, {}).get("zone", one["zones"][0]),
            LifecycleState=member["lifecycle"],
            HealthStatus=member["health"],
            LaunchConfigurationName=one["configuration"],
            LaunchTemplate=template(one["template"] or (mixed and mixed["template"])),
            ProtectedFromScaleIn=member["protected"],
        )
        for id, member in one["instances"].items()
    ]
    return found
