#!/usr/bin/env python3
"""Judges the simulator by boto3: its parameter validation, its paginators, its strict parsers.

    judge.py URL world PAGE_SIZE    everything in the world, read through boto3, is what GET /_sim/world says
    judge.py URL errors             wrong calls fail with AWS's codes; needs the estate of estate.rs
    judge.py URL faults             faults by script arrive as what they are
    judge.py URL changes            changes over HTTP, consistency, sessions; needs the estate of estate.rs

Says what differs on standard output and ends with 1.
"""

import datetime
import json
import re
import sys
import urllib.request

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

import expected as expect
from expected import given, tags

URL = sys.argv[1]
A, B = "111111111111", "222222222222"
problems = []


def control(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{URL}/_sim/{path}", data, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def client(service, account=A, region="eu-west-1", key=None, secret=None, token=None, read_timeout=30):
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=URL,
        aws_access_key_id=key or f"AKIA{account:0>16}",
        aws_secret_access_key=secret or f"secret/of+{account}",
        aws_session_token=token,
        config=Config(retries={"total_max_attempts": 1}, read_timeout=read_timeout, connect_timeout=5),
    )


def plain(value):
    """Times as text, and lists in one order: their order means nothing."""
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if key != "ResponseMetadata"}
    if isinstance(value, tuple):
        return tuple(plain(item) for item in value)
    if isinstance(value, (list, set, frozenset)) or hasattr(value, "mapping"):
        return sorted((plain(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    return value


def same(what, expected, found):
    expected, found = plain(expected), plain(found)
    if expected == found:
        return
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted(expected.keys() | found.keys()):
            if key not in found:
                problems.append(f"{what}.{key}: missing, expected {expected[key]!r}")
            elif key not in expected:
                problems.append(f"{what}.{key}: not expected: {found[key]!r}")
            else:
                same(f"{what}.{key}", expected[key], found[key])
    else:
        problems.append(f"{what}: expected {expected!r}, found {found!r}")


def keyed(what, rows, key):
    found = {row[key]: row for row in rows}
    if len(found) != len(rows):
        problems.append(f"{what}: {len(rows) - len(found)} listed twice")
    return found


def pages(service, call, key, size=None, **arguments):
    paginator = service.get_paginator(call)
    config = {} if size is None else {"PageSize": size}
    return paginator.paginate(PaginationConfig=config, **arguments).build_full_result().get(key, [])


# Reading everything.


def check(what, place, stored, rows, key, expectation, drop=()):
    rows = keyed(what, rows, key)
    if stored.keys() != rows.keys():
        problems.append(f"{what}: missing {sorted(stored.keys() - rows.keys())}, not expected {sorted(rows.keys() - stored.keys())}")
    for id in stored.keys() & rows.keys():
        found = {name: value for name, value in rows[id].items() if name not in drop}
        same(f"{what} {id}", expectation(place, stored[id]), found)


def without(rows, name):
    """What an association is called is the simulator's own affair."""
    for row in rows:
        for entry in row[name]:
            entry.pop("AssociationId")
    return rows


def check_place(account, place, size):
    region = place["name"]
    where = f"{account}/{region}"
    ec2, v2, v1, scaling = (client(name, account, region) for name in ["ec2", "elbv2", "elb", "autoscaling"])
    reservations = pages(ec2, "describe_instances", "Reservations", size, IncludeManagedResources=True)
    rows = []
    for reservation in reservations:
        for row in reservation["Instances"]:
            stored = place["instances"].get(row["InstanceId"], {})
            same(
                f"{where} reservation of {row['InstanceId']}",
                given(ReservationId=stored.get("reservation"), OwnerId=stored.get("owner") or account, RequesterId=stored.get("requester"), Groups=[]),
                {name: value for name, value in reservation.items() if name != "Instances"},
            )
            rows.append(row)
    check(f"{where} instance", place, place["instances"], rows, "InstanceId", expect.instance)
    rows = pages(ec2, "describe_network_interfaces", "NetworkInterfaces", size, IncludeManagedResources=True)
    check(f"{where} interface", place, place["interfaces"], rows, "NetworkInterfaceId", expect.interface)
    rows = pages(ec2, "describe_volumes", "Volumes", size, IncludeManagedResources=True)
    check(f"{where} volume", place, place["volumes"], rows, "VolumeId", expect.volume)
    rows = pages(ec2, "describe_security_groups", "SecurityGroups", size)
    check(f"{where} group", place, place["groups"], rows, "GroupId", expect.group)
    rows = without(without(pages(ec2, "describe_vpcs", "Vpcs", size), "CidrBlockAssociationSet"), "Ipv6CidrBlockAssociationSet")
    check(f"{where} vpc", place, place["vpcs"], rows, "VpcId", expect.vpc, ["DhcpOptionsId"])
    rows = without(pages(ec2, "describe_subnets", "Subnets", size), "Ipv6CidrBlockAssociationSet")
    check(f"{where} subnet", place, place["subnets"], rows, "SubnetId", expect.subnet)
    check(f"{where} address", place, place["addresses"], ec2.describe_addresses()["Addresses"], "AllocationId", expect.address)
    zones = {row["ZoneName"]: row["ZoneId"] for row in ec2.describe_availability_zones(AllAvailabilityZones=True)["AvailabilityZones"]}
    same(f"{where} zones", {name: zone["id"] for name, zone in place["zones"].items()}, zones)
    types = {one["instance_type"] for one in place["instances"].values()}
    if types:
        rows = ec2.describe_instance_types(InstanceTypes=sorted(types))["InstanceTypes"]
        same(f"{where} types", types, {row["InstanceType"] for row in rows})
        same(f"{where} types without processors", [], [row for row in rows if row["VCpuInfo"]["DefaultVCpus"] < 1 or row["MemoryInfo"]["SizeInMiB"] < 256])

    rows = pages(v2, "describe_load_balancers", "LoadBalancers", size)
    check(f"{where} balancer", place, place["balancers"], rows, "LoadBalancerArn", expect.balancer, ["CanonicalHostedZoneId"])
    tagged = {}
    for arn, one in place["balancers"].items():
        rows = pages(v2, "describe_listeners", "Listeners", size, LoadBalancerArn=arn)
        check(f"{where} listener", arn, one["listeners"], rows, "ListenerArn", expect.listener)
        tagged[arn] = one["tags"]
        for ear in one["listeners"].values():
            tagged[ear["arn"]] = ear["tags"]
            rows = pages(v2, "describe_rules", "Rules", size, ListenerArn=ear["arn"])
            default = [row for row in rows if row["IsDefault"]]
            same(f"{where} default rule of {ear['arn']}", [("default", expect.actions(ear["actions"]), [])], [(row["Priority"], row["Actions"], row["Conditions"]) for row in default])
            stored = {it["arn"]: it for it in ear["rules"]}
            check(f"{where} rule", place, stored, [row for row in rows if not row["IsDefault"]], "RuleArn", lambda _, it: expect.rule(it))
            tagged |= {it["arn"]: it["tags"] for it in ear["rules"]}
    rows = pages(v2, "describe_target_groups", "TargetGroups", size)
    check(f"{where} target group", place, place["target_groups"], rows, "TargetGroupArn", expect.target_group)
    for arn, one in place["target_groups"].items():
        tagged[arn] = one["tags"]
        found = v2.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        same(f"{where} targets of {arn}", [expect.target(it) for it in one["targets"]], found)
    names = sorted(tagged)
    for start in range(0, len(names), 20):
        found = v2.describe_tags(ResourceArns=names[start : start + 20])["TagDescriptions"]
        same(f"{where} tags", {arn: tags(tagged[arn]) for arn in names[start : start + 20]}, {row["ResourceArn"]: row["Tags"] for row in found})

    rows = pages(v1, "describe_load_balancers", "LoadBalancerDescriptions", size)
    check(f"{where} classic balancer", place, place["classic_balancers"], rows, "LoadBalancerName", expect.classic, ["CanonicalHostedZoneNameID"])
    for name, one in place["classic_balancers"].items():
        found = v1.describe_tags(LoadBalancerNames=[name])["TagDescriptions"]
        same(f"{where} tags of {name}", [{"LoadBalancerName": name, "Tags": tags(one["tags"])}], found)
        found = v1.describe_instance_health(LoadBalancerName=name)["InstanceStates"]
        alive = {id: it for id, it in one["instances"].items() if place["instances"].get(id, {}).get("state") != "terminated"}
        expected = [{"InstanceId": id, "State": it["state"], "ReasonCode": it["reason"], "Description": it["description"]} for id, it in alive.items()]
        same(f"{where} health of {name}", expected, found)

    rows = pages(scaling, "describe_auto_scaling_groups", "AutoScalingGroups", None if size is None else min(size, 100))
    for row in rows:
        same(f"{where} subnets of {row['AutoScalingGroupName']}", place["scaling_groups"][row["AutoScalingGroupName"]]["subnets"], row.pop("VPCZoneIdentifier").split(","))
        found = [it["ProcessName"] for it in row.pop("SuspendedProcesses")]
        same(f"{where} suspended of {row['AutoScalingGroupName']}", place["scaling_groups"][row["AutoScalingGroupName"]]["suspended"], found)
    check(f"{where} scaling group", place, place["scaling_groups"], rows, "AutoScalingGroupName", expect.scaling_group)


def judge_world(size):
    world = control("GET", "world")
    for id, account in world["accounts"].items():
        who = client("sts", id).get_caller_identity()
        same(f"{id} identity", (id, f"arn:aws:iam::{id}:user/tester"), (who["Account"], who["Arn"]))
        stands = world["regions"] | {name: place["opt_in"] for name, place in account["places"].items() if place["opt_in"]}
        found = client("ec2", id).describe_regions(AllRegions=True)["Regions"]
        same(f"{id} regions", stands, {row["RegionName"]: row["OptInStatus"] for row in found})
        found = {row["RegionName"] for row in client("ec2", id).describe_regions()["Regions"]}
        same(f"{id} enabled regions", {name for name, status in stands.items() if status != "not-opted-in"}, found)
        for place in account["places"].values():
            if stands[place["name"]] != "not-opted-in":
                check_place(id, place, size)
    organization = world["organization"]
    if organization:
        found = pages(client("organizations", organization["management"]), "list_accounts", "Accounts", None if size is None else min(size, 20))
        older = {"PENDING_ACTIVATION": "ACTIVE", "CLOSED": "SUSPENDED"}
        expected = [
            {
                "Id": one["id"],
                "Arn": f"arn:aws:organizations::{organization['management']}:account/{organization['id']}/{one['id']}",
                "Name": one["name"],
                "Email": one["email"],
                "State": one["state"],
                "Status": older.get(one["state"], one["state"]),
                "JoinedMethod": one["joined_by"],
                "JoinedTimestamp": one["joined"],
            }
            for one in organization["members"]
        ]
        same("organization's accounts", expected, found)
        found = client("organizations", B).describe_organization()["Organization"]
        same("organization", (organization["id"], organization["management"]), (found["Id"], found["MasterAccountId"]))


# Calls that fail.


def fails(what, code, status, call):
    """`status` None: no answer in the first place, and `code` is the exception's name."""
    try:
        answer = call()
    except ClientError as error:
        found = (error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"])
    except Exception as error:  # botocore's parsers have exceptions of no common kind
        found = (type(error).__name__, None)
    else:
        found = ("no error", str(answer)[:200])
    if found != (code, status):
        problems.append(f"{what}: expected {code} {status}, found {found[0]} {found[1]}")


def filters(**named):
    return [{"Name": name.replace("_", "-"), "Values": values} for name, values in named.items()]


def judge_errors():
    place = control("GET", "world")["accounts"][A]["places"]["eu-west-1"]
    instance_id = next(iter(place["instances"]))
    pool = next(iter(place["target_groups"]))
    arn = next(iter(place["balancers"]))
    ec2, v2, v1, scaling, sts = (client(name) for name in ["ec2", "elbv2", "elb", "autoscaling", "sts"])
    nobody = "i-0123456789abcdef0"
    role = f"arn:aws:iam::{B}:role/dewpoint"

    def elsewhere(service, **arguments):
        return client(service, region="me-south-1", **arguments)

    cases = [
        # Who calls.
        ("unknown key, EC2", "AuthFailure", 401, lambda: client("ec2", key="AKIAUNKNOWN").describe_regions()),
        ("unknown key, ELB", "InvalidClientTokenId", 403, lambda: client("elbv2", key="AKIAUNKNOWN").describe_load_balancers()),
        ("unknown key, STS", "InvalidClientTokenId", 403, lambda: client("sts", key="AKIAUNKNOWN").get_caller_identity()),
        ("unknown key, Organizations", "UnrecognizedClientException", 400, lambda: client("organizations", key="AKIAUNKNOWN").list_accounts()),
        ("bad signature, EC2", "SignatureDoesNotMatch", 403, lambda: client("ec2", secret="wrong").describe_regions()),
        ("bad signature, STS", "SignatureDoesNotMatch", 403, lambda: client("sts", secret="wrong").get_caller_identity()),
        ("a token with a user's key", "AuthFailure", 401, lambda: client("ec2", token="token").describe_regions()),
        ("disabled region, EC2", "AuthFailure", 401, lambda: elsewhere("ec2").describe_instances()),
        ("disabled region, STS", "InvalidClientTokenId", 403, lambda: elsewhere("sts").get_caller_identity()),
        ("disabled region, scaling", "InvalidClientTokenId", 403, lambda: elsewhere("autoscaling").describe_auto_scaling_groups()),
        ("denied by organization, EC2", "UnauthorizedOperation", 403, lambda: client("ec2", B, "us-east-1").describe_instances()),
        ("denied by organization, ELB", "AccessDenied", 403, lambda: client("elbv2", B, "us-east-1").describe_load_balancers()),
        # Roles.
        ("no external id", "AccessDenied", 403, lambda: sts.assume_role(RoleArn=role, RoleSessionName="dewpoint")),
        ("wrong external id", "AccessDenied", 403, lambda: sts.assume_role(RoleArn=role, RoleSessionName="dewpoint", ExternalId="other")),
        ("unknown role", "AccessDenied", 403, lambda: sts.assume_role(RoleArn=role + "x", RoleSessionName="dewpoint", ExternalId="ours")),
        ("not trusted", "AccessDenied", 403, lambda: client("sts", B).assume_role(RoleArn=role, RoleSessionName="dewpoint", ExternalId="ours")),
        ("session name", "ValidationError", 400, lambda: sts.assume_role(RoleArn=role, RoleSessionName="a b", ExternalId="ours")),
        ("too long a session", "ValidationError", 400, lambda: sts.assume_role(RoleArn=role, RoleSessionName="dewpoint", ExternalId="ours", DurationSeconds=43201)),
        # Paging.
        ("instances page 4", "InvalidParameterValue", 400, lambda: ec2.describe_instances(MaxResults=4)),
        ("instances page 1001", "InvalidParameterValue", 400, lambda: ec2.describe_instances(MaxResults=1001)),
        ("volumes page 4", "InvalidParameterValue", 400, lambda: ec2.describe_volumes(MaxResults=4)),
        ("types page 101", "InvalidParameterValue", 400, lambda: ec2.describe_instance_types(MaxResults=101)),
        ("ids and page", "InvalidParameterCombination", 400, lambda: ec2.describe_instances(InstanceIds=[instance_id], MaxResults=5)),
        ("bogus token", "InvalidNextToken", 400, lambda: ec2.describe_instances(NextToken="bogus")),
        ("bogus marker", "ValidationError", 400, lambda: v2.describe_load_balancers(Marker="bogus")),
        ("bogus scaling token", "InvalidNextToken", 400, lambda: scaling.describe_auto_scaling_groups(NextToken="bogus")),
        ("bogus accounts token", "InvalidInputException", 400, lambda: client("organizations").list_accounts(NextToken="bogus")),
        ("scaling page 101", "ValidationError", 400, lambda: scaling.describe_auto_scaling_groups(MaxRecords=101)),
        ("foreign token", "InvalidNextToken", 400, lambda: ec2.describe_volumes(NextToken=ec2.describe_instances(MaxResults=5)["NextToken"])),
        (
            "token with other filters",
            "InvalidNextToken",
            400,
            lambda: ec2.describe_instances(NextToken=ec2.describe_instances(MaxResults=5)["NextToken"], Filters=filters(vpc_id=["*"])),
        ),
        # Ids, filters, parameters, actions.
        ("malformed id", "InvalidInstanceID.Malformed", 400, lambda: ec2.describe_instances(InstanceIds=["i-1"])),
        ("one unknown id", "InvalidInstanceID.NotFound", 400, lambda: ec2.describe_instances(InstanceIds=[instance_id, nobody])),
        ("unknown group", "InvalidGroup.NotFound", 400, lambda: ec2.describe_security_groups(GroupIds=["sg-0123456789abcdef0"])),
        ("malformed group", "InvalidGroupId.Malformed", 400, lambda: ec2.describe_security_groups(GroupIds=["web"])),
        ("unknown interface", "InvalidNetworkInterfaceID.NotFound", 400, lambda: ec2.describe_network_interfaces(NetworkInterfaceIds=["eni-0123456789abcdef0"])),
        ("unknown vpc", "InvalidVpcID.NotFound", 400, lambda: ec2.describe_vpcs(VpcIds=["vpc-0123456789abcdef0"])),
        ("unknown subnet", "InvalidSubnetID.NotFound", 400, lambda: ec2.describe_subnets(SubnetIds=["subnet-0123456789abcdef0"])),
        ("unknown volume", "InvalidVolume.NotFound", 400, lambda: ec2.describe_volumes(VolumeIds=["vol-0123456789abcdef0"])),
        ("unknown address", "InvalidAllocationID.NotFound", 400, lambda: ec2.describe_addresses(AllocationIds=["eipalloc-0123456789abcdef0"])),
        ("unknown type", "InvalidInstanceType", 400, lambda: ec2.describe_instance_types(InstanceTypes=["nonsense"])),
        ("unknown filter", "InvalidParameterValue", 400, lambda: ec2.describe_instances(Filters=filters(colour=["red"]))),
        ("filter of another action", "InvalidParameterValue", 400, lambda: ec2.describe_volumes(Filters=filters(vpc_id=["*"]))),
        ("201 values", "FilterLimitExceeded", 400, lambda: ec2.describe_instances(Filters=filters(instance_id=[nobody] * 201))),
        ("unknown parameter", "UnknownParameter", 400, lambda: ec2.describe_vpcs(Filters=[{"Values": ["no name"]}])),
        ("dry run", "DryRunOperation", 412, lambda: ec2.describe_instances(DryRun=True)),
        ("unknown action, EC2", "InvalidAction", 400, lambda: ec2.describe_hosts()),
        ("unknown action, ELB", "InvalidAction", 400, lambda: v2.describe_account_limits()),
        ("unknown action, Organizations", "UnknownOperationException", 400, lambda: client("organizations").list_roots()),
        # Balancers.
        ("unknown balancer", "LoadBalancerNotFound", 400, lambda: v2.describe_load_balancers(Names=["nobody"])),
        ("two selections", "ValidationError", 400, lambda: v2.describe_load_balancers(Names=["alb"], LoadBalancerArns=[arn])),
        ("listeners of nothing", "ValidationError", 400, lambda: v2.describe_listeners()),
        ("listeners of nobody", "LoadBalancerNotFound", 400, lambda: v2.describe_listeners(LoadBalancerArn=arn + "0")),
        ("rules of nothing", "ValidationError", 400, lambda: v2.describe_rules()),
        ("health of nobody", "TargetGroupNotFound", 400, lambda: v2.describe_target_health(TargetGroupArn=pool + "0")),
        ("21 ARNs", "ValidationError", 400, lambda: v2.describe_tags(ResourceArns=[arn] * 21)),
        ("one unknown ARN", "LoadBalancerNotFound", 400, lambda: v2.describe_tags(ResourceArns=[arn, arn + "0"])),
        ("one unknown pool", "TargetGroupNotFound", 400, lambda: v2.describe_tags(ResourceArns=[arn, pool + "0"])),
        ("unknown classic", "LoadBalancerNotFound", 400, lambda: v1.describe_load_balancers(LoadBalancerNames=["nobody"])),
        ("tags of an unknown classic", "LoadBalancerNotFound", 400, lambda: v1.describe_tags(LoadBalancerNames=["classic", "nobody"])),
        ("health of a stranger", "InvalidInstance", 400, lambda: v1.describe_instance_health(LoadBalancerName="classic", Instances=[{"InstanceId": nobody}])),
        # Organizations.
        ("not the management account", "AccessDeniedException", 400, lambda: client("organizations", B).list_accounts()),
        ("no organization", "AWSOrganizationsNotInUseException", 400, lambda: client("organizations", "333333333333").list_accounts()),
    ]
    for case in cases:
        fails(*case)
    # What looks wrong and is not.
    same("unknown id by filter", [], ec2.describe_instances(Filters=filters(instance_id=[nobody]))["Reservations"])
    same("unknown scaling group", [], scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["nobody"])["AutoScalingGroups"])
    everything = [row["VolumeId"] for row in ec2.describe_volumes(MaxResults=5000)["Volumes"]]
    same("volumes by more than a thousand", list(place["volumes"]), everything)
    # Filters.
    for name, values, wanted in [
        ("instance-state-name", ["stopped", "terminated"], lambda one: one["state"] in ("stopped", "terminated")),
        ("tag:Name", ["web-*"], lambda one: one["tags"].get("Name", "").startswith("web-")),
        ("tag-key", ["Team"], lambda one: "Team" in one["tags"]),
        ("tag-key", ["team"], lambda one: False),
        ("instance-lifecycle", ["spot"], lambda one: one["lifecycle"] == "spot"),
        ("instance-id", list(place["instances"])[:3] + [nobody], lambda one: one["id"] in list(place["instances"])[:3]),
    ]:
        found = ec2.describe_instances(Filters=[{"Name": name, "Values": values}], IncludeManagedResources=True)["Reservations"]
        expected = [one["id"] for one in place["instances"].values() if wanted(one)]
        same(f"filter {name}={values}", expected, [row["InstanceId"] for it in found for row in it["Instances"]])


def plainly():
    """One page of instances by a plain HTTP client, signed by botocore."""
    body = b"Action=DescribeInstances&Version=2016-11-15&MaxResults=5"
    request = AWSRequest("POST", f"{URL}/", data=body, headers={"Content-Type": "application/x-www-form-urlencoded"})
    SigV4Auth(Credentials(f"AKIA{A:0>16}", f"secret/of+{A}"), "ec2", "eu-west-1").add_auth(request)
    with urllib.request.urlopen(urllib.request.Request(f"{URL}/", body, dict(request.headers.items())), timeout=5) as answer:
        return answer.read()


def judge_faults():
    def struck(what, effect, code, status, call=None, **rule):
        control("PUT", "faults", [rule | {"effect": effect}])
        fails(what, code, status, call or (lambda: client("ec2", read_timeout=1).describe_instances(MaxResults=5)))

    elb = lambda: client("elbv2").describe_load_balancers()  # noqa: E731
    organizations = lambda: client("organizations").list_accounts()  # noqa: E731
    scaling = lambda: client("autoscaling").describe_auto_scaling_groups()  # noqa: E731
    struck("deny", "deny", "UnauthorizedOperation", 403)
    struck("deny ELB", "deny", "AccessDenied", 403, elb)
    struck("deny by organization", "scp_deny", "UnauthorizedOperation", 403)
    struck("throttle EC2", "throttle", "RequestLimitExceeded", 503)
    struck("throttle ELB", "throttle", "Throttling", 400, elb)
    struck("throttle scaling", "throttle", "Throttling", 400, scaling)
    struck("throttle Organizations", "throttle", "TooManyRequestsException", 400, organizations)
    struck("key", "auth_failure", "AuthFailure", 401)
    struck("expired", "expired_token", "RequestExpired", 400)
    struck("expired ELB", "expired_token", "ExpiredToken", 403, elb)
    struck("an error", {"error": {"status": 500, "code": "InternalError", "message": "An internal error"}}, "InternalError", 500)
    struck("500 without a body", {"empty": {"status": 500}}, "500", 500)
    struck("503 in HTML", {"html": {"status": 503}}, "503", 503)
    struck("cut body", {"cut_body": {"share": 0.5}}, "ResponseParserError", None)
    # botocore does not compare a body with its announced length, so a plain client has to.
    struck("cut connection", {"cut_connection": {"share": 0.5}}, "IncompleteRead", None, plainly)
    control("PUT", "faults", [{"effect": {"cut_body": {"share": 0.5}}}])
    body = plainly()
    same("the cut body's end", (True, False), (body.startswith(b"<?xml"), body.endswith(b"Response>")))
    struck("reset", "reset", "ConnectionClosedError", None)
    struck("hang", "hang", "ReadTimeoutError", None)
    struck("slow", {"slow": {"bytes": 1, "pause_ms": 1500}}, "ReadTimeoutError", None)
    struck("late", {"latency": {"ms": 1500}}, "ReadTimeoutError", None)
    everything = lambda: pages(client("ec2"), "describe_instances", "Reservations", 5)  # noqa: E731
    struck("stale token", "stale_token", "InvalidPaginationToken", 400, everything, page=2)
    struck("repeated token", "repeat_token", "PaginationError", None, everything, page=2)
    struck("second page", "deny", "UnauthorizedOperation", 403, everything, page=2, action="DescribeInstances", account=A, region="eu-west-1", service="ec2")
    for rule in [{"page": 9}, {"account": B}, {"region": "us-east-1"}, {"service": "elb"}, {"action": "DescribeVolumes"}, {"nth": 9}, {"times": 0}]:
        control("PUT", "faults", [rule | {"effect": "deny"}])
        client("ec2").describe_instances(MaxResults=5)

    def first(effect):
        control("PUT", "faults", [{"effect": effect}])
        return client("ec2").describe_instances(MaxResults=5)["Reservations"][0]

    same("no id", False, "InstanceId" in first("item_without_id")["Instances"][0])
    same("no state", False, "State" in first("item_without_state")["Instances"][0])
    same("foreign owner", "999999999999", first({"foreign_owner": {"owner": "999999999999"}})["OwnerId"])
    control("DELETE", "faults")
    some = [row["InstanceId"] for it in everything() for row in it["Instances"]]
    first_id = some[0]
    control("PUT", "faults", [{"times": len(some), "effect": {"miss_item": {"id": first_id}}}])
    same("one is missing", sorted(set(some) - {first_id}), [row["InstanceId"] for it in everything() for row in it["Instances"]])
    control("DELETE", "faults")
    judge_nested()
    # The log.
    control("DELETE", "calls")
    everything()
    log = control("GET", "calls")
    same("pages in the log", list(range(1, len(log) + 1)), [call["page"] for call in log])
    same("the log", {(A, "eu-west-1", "ec2", "DescribeInstances", 200)}, {(call["account"], call["region"], call["service"], call["action"], call["status"]) for call in log})


def judge_nested():
    """One nested id is missing from an answer, and nothing else is."""
    place = control("GET", "world")["accounts"][A]["places"]["eu-west-1"]
    pool = next(arn for arn, it in place["target_groups"].items() if len(it["targets"]) > 1)
    for service, action, key, nested in [
        ("autoscaling", "DescribeAutoScalingGroups", "InstanceId", lambda answer: [it for group in answer["AutoScalingGroups"] for it in group["Instances"]]),
        ("ec2", "DescribeVolumes", "InstanceId", lambda answer: [it for volume in answer["Volumes"] for it in volume["Attachments"]]),
        ("elb", "DescribeLoadBalancers", "InstanceId", lambda answer: [it for one in answer["LoadBalancerDescriptions"] for it in one["Instances"]]),
        (
            "ec2",
            "DescribeSecurityGroups",
            "GroupId",
            lambda answer: [pair for group in answer["SecurityGroups"] for rule in group["IpPermissions"] for pair in rule["UserIdGroupPairs"]],
        ),
        ("ec2", "DescribeNetworkInterfaces", "InstanceId", lambda answer: [it["Attachment"] for it in answer["NetworkInterfaces"] if "Attachment" in it]),
        ("elbv2", "DescribeTargetHealth", "Id", lambda answer: [it["Target"] for it in answer["TargetHealthDescriptions"]]),
    ]:
        arguments = {"TargetGroupArn": pool} if action == "DescribeTargetHealth" else {}
        caller = client(service)
        call = getattr(caller, re.sub("(?<!^)(?=[A-Z])", "_", action).lower())
        control("DELETE", "faults")
        whole = nested(call(**arguments))
        control("PUT", "faults", [{"service": service, "action": action, "effect": "nested_without_id"}])
        spoilt = nested(call(**arguments))
        same(f"{action}: as many", len(whole), len(spoilt))
        ids = [it[key] for it in whole if key in it]
        same(f"{action}: some have an id", True, len(ids) > 1)
        left = [it[key] for it in spoilt if key in it]
        same(f"{action}: one id less", len(ids) - 1, len(left))
        for id in left:
            ids.remove(id)
        same(f"{action}: the others", 1, len(ids))
        rest = [[json.dumps(plain({name: value for name, value in it.items() if name != key}), sort_keys=True) for it in items] for items in (whole, spoilt)]
        same(f"{action}: nothing else", *rest)
    control("DELETE", "faults")


def judge_changes():
    role = f"arn:aws:iam::{B}:role/dewpoint"
    assumed = client("sts").assume_role(RoleArn=role, RoleSessionName="dewpoint", ExternalId="ours")
    keys = assumed["Credentials"]
    session = {"key": keys["AccessKeyId"], "secret": keys["SecretAccessKey"], "token": keys["SessionToken"]}
    who = client("sts", **session).get_caller_identity()
    same("assumed", (B, f"arn:aws:sts::{B}:assumed-role/dewpoint/dewpoint"), (who["Account"], who["Arn"]))
    fails("no token", "AuthFailure", 401, lambda: client("ec2", key=session["key"], secret=session["secret"]).describe_regions())
    fails("wrong token", "AuthFailure", 401, lambda: client("ec2", **session | {"token": "x"}).describe_regions())
    fails("long chain", "ValidationError", 400, lambda: client("sts", **session).assume_role(RoleArn=role, RoleSessionName="dewpoint", ExternalId="ours", DurationSeconds=7200))

    world = control("GET", "world")
    ec2 = client("ec2", B)
    name = {"account": B, "region": "eu-west-1"}
    victim = next(id for id, one in world["accounts"][B]["places"]["eu-west-1"]["instances"].items() if one["state"] == "running")

    def listed():
        return {row["InstanceId"]: row for it in ec2.describe_instances()["Reservations"] for row in it["Instances"]}

    before = listed()
    control("POST", "changes", [{"tag": name | {"id": victim, "key": "a&b", "value": "<c> \"d\" 'é'\n"}}])
    same("a tag", "<c> \"d\" 'é'\n", {tag["Key"]: tag["Value"] for tag in listed()[victim]["Tags"]}["a&b"])
    control("POST", "changes", [{"terminate": name | {"instance": victim}}])
    gone = listed()[victim]
    same("terminated", ("terminated", [], []), (gone["State"]["Name"], gone["NetworkInterfaces"], gone["SecurityGroups"]))
    same("without a network", set(), {"SubnetId", "VpcId", "PrivateIpAddress"} & gone.keys())
    same("no interface", [], ec2.describe_network_interfaces(Filters=filters(**{"attachment.instance_id": [victim]}))["NetworkInterfaces"])
    same("no volume", [], ec2.describe_volumes(Filters=filters(**{"attachment.instance_id": [victim]}))["Volumes"])
    same("it keeps its tags", True, len(gone["Tags"]) > 1)
    control("POST", "changes", [{"drop_tags": name | {"id": victim}}])
    same("it has lost its tags", ("terminated", []), (listed()[victim]["State"]["Name"], listed()[victim].get("Tags", [])))
    control("POST", "advance", {"seconds": 3000})
    same("still shown", True, victim in listed())
    control("POST", "advance", {"seconds": 601})
    same("faded", before.keys() - {victim}, listed().keys())
    fails("the session has ended", "RequestExpired", 400, lambda: client("ec2", **session).describe_regions())
    fails("the session has ended, STS", "ExpiredToken", 403, lambda: client("sts", **session).get_caller_identity())

    # Late sight.
    settings = control("GET", "settings")
    control("PUT", "settings", settings | {"lag_s": 10})
    control("POST", "changes", [{"launch": name | {"name": "late"}}])
    late = next(id for id, one in control("GET", "world")["accounts"][B]["places"]["eu-west-1"]["instances"].items() if one["tags"].get("Name") == "late")
    fails("not yet", "InvalidInstanceID.NotFound", 400, lambda: ec2.describe_instances(InstanceIds=[late]))
    control("POST", "advance", {"seconds": 11})
    same("now", "running", listed()[late]["State"]["Name"])
    control("POST", "changes", [{"set_state": name | {"instance": late, "state": "stopped"}}])
    same("the old state", "running", listed()[late]["State"]["Name"])
    control("POST", "advance", {"seconds": 11})
    same("the new state", "stopped", listed()[late]["State"]["Name"])
    control("PUT", "settings", settings)

    # What services manage.
    managed = client("ec2").describe_instances(Filters=filters(**{"operator.managed": ["true"]}))["Reservations"]
    same("managed", 1, len(managed))
    control("POST", "changes", [{"hide_managed": {"account": A, "hidden": True}}])
    same("hidden", [], client("ec2").describe_instances(Filters=filters(**{"operator.managed": ["true"]}))["Reservations"])
    found = client("ec2").describe_instances(Filters=filters(**{"operator.managed": ["true"]}), IncludeManagedResources=True)["Reservations"]
    same("asked for", (1, True), (len(found), found[0]["Instances"][0]["Operator"]["HiddenByDefault"]))

    # A page's token ends.
    token = client("ec2").describe_instances(MaxResults=5)["NextToken"]
    control("POST", "advance", {"seconds": 3601})
    fails("old token", "InvalidPaginationToken", 400, lambda: client("ec2").describe_instances(MaxResults=5, NextToken=token))

    # Buckets, and a clock that is off.
    control("PUT", "settings", settings | {"rates": settings["rates"] | {"limited": True, "ec2": {"capacity": 2, "refill_per_s": 0.001}}})
    control("POST", "advance", {"seconds": 1})
    regions = client("ec2", B, "eu-west-1")
    fails("three calls", "RequestLimitExceeded", 503, lambda: [regions.describe_regions() for _ in range(3)])
    control("PUT", "settings", settings | {"clock_ahead_s": 600})
    fails("skew, EC2", "RequestExpired", 400, lambda: client("ec2").describe_vpcs())
    fails("skew, STS", "SignatureDoesNotMatch", 403, lambda: client("sts").get_caller_identity())
    fails("skew, ELB", "SignatureDoesNotMatch", 403, lambda: client("elbv2").describe_load_balancers())
    fails("skew, Organizations", "InvalidSignatureException", 400, lambda: client("organizations").list_accounts())
    control("PUT", "settings", settings | {"clock_ahead_s": -600})
    fails("skew backwards", "SignatureDoesNotMatch", 403, lambda: client("autoscaling").describe_auto_scaling_groups())
    control("PUT", "settings", settings | {"clock_ahead_s": 240})
    client("ec2").describe_vpcs()
    control("PUT", "settings", settings)


def main():
    mode = sys.argv[2]
    if mode == "world":
        judge_world(None if sys.argv[3] == "none" else int(sys.argv[3]))
    else:
        {"errors": judge_errors, "faults": judge_faults, "changes": judge_changes}[mode]()
    for problem in problems[:40]:
        print(problem)
    if len(problems) > 40:
        print(f"and {len(problems) - 40} more")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
