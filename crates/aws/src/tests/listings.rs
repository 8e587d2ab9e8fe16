//! Listings: pages, order, and what becomes of each field.

use dewpoint_core::model::{Outcome, RelationType, Resource, attributes};
use dewpoint_core::source::Source;
use serde_json::json;

use super::fake::Fake;
use super::*;

#[tokio::test]
async fn every_scope_is_read_to_its_last_page() {
    let fake = Fake::start().await;
    populate(&fake, EU, 7);
    populate(&fake, US, 3);
    fake.with(|world| world.page = 2);
    let notes = Notes::default();
    let pull = source(&fake, &[EU, US, EU]).pull(&notes).await.unwrap();
    assert!(pull.exhaustive && pull.remarks.is_empty(), "{:?}", pull.remarks);
    assert_eq!(pull.resources.len(), 30);
    assert_eq!(pull.receipts.len(), 6);
    for kind in crate::KINDS {
        outcome(&pull, EU, *kind, Outcome::Complete);
        assert_eq!((receipt(&pull, EU, *kind).count, receipt(&pull, US, *kind).count), (Some(7), Some(3)));
        assert_eq!(notes.scopes.lock().unwrap()[&scope(ACCOUNT, EU, *kind)], (Outcome::Complete, 7));
    }
    let calls = notes.calls.lock().unwrap().clone();
    let wanted = [
        ("ec2:DescribeInstances", 6),
        ("ec2:DescribeNetworkInterfaces", 6),
        ("ec2:DescribeSecurityGroups", 6),
        ("sts:GetCallerIdentity", 1),
    ];
    assert_eq!(calls, wanted.map(|(operation, count)| (operation.to_owned(), count)).into());
    assert!(fake.calls("DescribeInstances").iter().all(|call| call.parameters["MaxResults"] == "1000"));
}

#[tokio::test]
async fn an_empty_region_is_complete_and_empty() {
    let fake = Fake::start().await;
    let pull = pull(&source(&fake, &[EU])).await;
    outcome(&pull, EU, Kind::Instance, Outcome::Complete);
    assert_eq!((pull.resources.len(), receipt(&pull, EU, Kind::Instance).count), (0, Some(0)));
}

const GROUPS: &str = "<groupSet><item><groupId>sg-b</groupId></item><item><groupId>sg-a</groupId></item></groupSet>";

/// An instance with all that is read of it, its lists in the order given.
fn full_instance(reversed: bool) -> String {
    let list = |mut items: Vec<String>| {
        if reversed {
            items.reverse();
        }
        items.into_iter().map(|item| format!("<item>{item}</item>")).collect::<String>()
    };
    let tags = list(vec![
        "<key>Name</key><value>web 1</value>".into(),
        "<key>empty</key><value/>".into(),
        "<key>env</key><value>prod</value>".into(),
    ]);
    let first = list(vec![
        "<privateIpAddress>10.0.0.5</privateIpAddress><association><publicIp>203.0.113.5</publicIp></association>".into(),
        "<privateIpAddress>10.0.0.4</privateIpAddress>".into(),
    ]);
    let v6 = list(vec!["<ipv6Address>2001:db8::5</ipv6Address>".into(), "<ipv6Address>fd00::5</ipv6Address>".into()]);
    let interfaces = list(vec![
        format!(
            "<networkInterfaceId>eni-1</networkInterfaceId><macAddress>06:AA:00:00:00:01</macAddress>{GROUPS}\
             <attachment><attachTime>2025-06-01T08:00:00.000Z</attachTime><deviceIndex>0</deviceIndex></attachment>\
             <privateIpAddressesSet>{first}</privateIpAddressesSet><ipv6AddressesSet>{v6}</ipv6AddressesSet>"
        ),
        "<networkInterfaceId>eni-2</networkInterfaceId><macAddress>06:aa:00:00:00:02</macAddress>\
         <groupSet><item><groupId>sg-c</groupId></item></groupSet>\
         <attachment><attachTime>2024-01-01T00:00:00.000Z</attachTime><deviceIndex>1</deviceIndex></attachment>\
         <privateIpAddress>10.0.1.9</privateIpAddress>"
            .into(),
    ]);
    format!(
        "<reservationId>r-1</reservationId><ownerId>{ACCOUNT}</ownerId><requesterId>940372691376</requesterId><instancesSet><item>\
         <instanceId>i-0abc</instanceId><imageId>ami-1</imageId><instanceState><code>272</code><name>running</name></instanceState>\
         <privateDnsName>ip-10-0-0-5.internal</privateDnsName><dnsName/><instanceType>m7i.large</instanceType>\
         <launchTime>2026-01-01T10:00:00.000Z</launchTime><placement><availabilityZone>eu-test-1a</availabilityZone><tenancy>default</tenancy></placement>\
         <platform>windows</platform><architecture>x86_64</architecture><subnetId>subnet-1</subnetId><vpcId>vpc-1</vpcId>\
         <privateIpAddress>10.0.0.5</privateIpAddress><ipAddress>203.0.113.5</ipAddress>\
         <instanceLifecycle>capacity-block</instanceLifecycle><iamInstanceProfile><arn>arn:aws-test:iam::123456789012:instance-profile/web</arn></iamInstanceProfile>\
         <operator><managed>true</managed><principal>eks.amazonaws.com</principal></operator>\
         <tagSet>{tags}</tagSet>{GROUPS}<networkInterfaceSet>{interfaces}</networkInterfaceSet></item></instancesSet>"
    )
}

fn one(pull: &Pull, kind: Kind) -> &Resource {
    let mut found = pull.resources.values().filter(|resource| resource.kind == kind);
    let first = found.next().unwrap();
    assert!(found.next().is_none());
    first
}

#[tokio::test]
async fn an_instance_is_mapped_whole() {
    let fake = Fake::start().await;
    fake.put(EU, "DescribeInstances", "i-0abc", full_instance(false));
    let pull = pull(&source(&fake, &[EU])).await;
    let arn = |path: &str| key(EU, path).to_string();
    assert_eq!(
        serde_json::to_value(one(&pull, Kind::Instance)).unwrap(),
        json!({
            "key": arn("instance/i-0abc"), "kind": "instance", "provider": "aws", "native_id": "i-0abc",
            "account": ACCOUNT, "region": EU, "name": "web 1", "state": "running",
            "tags": {"Name": "web 1", "empty": "", "env": "prod"},
            "created_at": "2025-06-01T08:00:00Z", "observed_at": "2026-01-02T03:04:06Z",
            "attributes": {
                "size": "m7i.large", "purchase": "capacity_block", "image": "ami-1", "os_family": "windows", "architecture": "x86_64",
                "zone": "eu-test-1a", "network": arn("vpc/vpc-1"), "subnet": arn("subnet/subnet-1"),
                "launched_at": "2026-01-01T10:00:00Z", "tenancy": "default", "provider_state": "running",
                "instance_profile": "arn:aws-test:iam::123456789012:instance-profile/web",
                "launched_by": "940372691376", "managed_by": "eks.amazonaws.com",
                "private_addresses": ["10.0.0.4", "10.0.0.5", "10.0.1.9", "fd00::5"],
                "public_addresses": ["2001:db8::5", "203.0.113.5"],
                "macs": ["06:aa:00:00:00:01", "06:aa:00:00:00:02"],
                "private_dns_name": "ip-10-0-0-5.internal",
            },
        })
    );
    let groups: Vec<String> = pull.relations.keys().map(|edge| edge.to.to_string()).collect();
    assert_eq!(groups, ["a", "b", "c"].map(|name| arn(&format!("security-group/sg-{name}"))));
    assert!(pull.relations.keys().all(|edge| edge.relation == RelationType::ProtectedBy));
}

#[tokio::test]
async fn attributes_are_those_of_the_model_in_canonical_form() {
    let fake = Fake::start().await;
    fake.put(EU, "DescribeInstances", "i-0abc", full_instance(true));
    fake.put(EU, "DescribeNetworkInterfaces", "eni-1", full_interface(false));
    fake.put(EU, "DescribeSecurityGroups", "sg-1", full_group(false));
    let pull = pull(&source(&fake, &[EU])).await;
    assert_eq!(pull.resources.len(), 3);
    for resource in pull.resources.values() {
        for (name, value) in &resource.attributes {
            assert!(attributes::find(resource.kind, name).is_some(), "{}: unknown attribute {name}", resource.kind);
            assert_eq!(attributes::canonical(resource.kind, name, value.clone()).as_ref(), Ok(value), "{name}");
        }
    }
}

#[tokio::test]
async fn the_order_of_an_answer_does_not_matter() {
    let fake = Fake::start().await;
    populate(&fake, EU, 9);
    fake.with(|world| world.page = 4);
    let mut pulls = Vec::new();
    for reversed in [false, true] {
        fake.with(|world| {
            world.reversed = reversed;
            for (action, id, xml) in [
                ("DescribeInstances", "i-0abc", full_instance(reversed)),
                ("DescribeNetworkInterfaces", "eni-1", full_interface(reversed)),
                ("DescribeSecurityGroups", "sg-1", full_group(reversed)),
            ] {
                let items = world.items.entry((EU.to_owned(), action.to_owned())).or_default();
                items.retain(|(known, _)| known != id);
                items.push((id.to_owned(), xml));
            }
        });
        let pull = pull(&source(&fake, &[EU])).await;
        let resources = serde_json::to_string(&pull.resources.values().collect::<Vec<_>>()).unwrap();
        let relations = serde_json::to_string(&pull.relations.values().collect::<Vec<_>>()).unwrap();
        pulls.push((resources, relations, pull.receipts));
    }
    assert_eq!(pulls[0], pulls[1]);
}

#[tokio::test]
async fn a_terminated_instance_has_no_network_attributes() {
    let fake = Fake::start().await;
    let gone = |id: &str, state: &str| {
        reservation(&format!(
            "<instanceId>{id}</instanceId><instanceState>{state}</instanceState><launchTime>2026-01-01T10:00:00.000Z</launchTime>\
             <privateDnsName/><dnsName/><groupSet/><networkInterfaceSet/><tagSet/>"
        ))
    };
    fake.put(EU, "DescribeInstances", "i-1", gone("i-1", "<code>48</code><name>terminated</name>"));
    fake.put(EU, "DescribeInstances", "i-2", gone("i-2", "<code>32</code><name>shutting-down</name>"));
    let pull = pull(&source(&fake, &[EU])).await;
    let words: Vec<_> = pull.resources.values().map(|resource| resource.state.as_deref().unwrap()).collect();
    assert_eq!(words, ["terminated", "stopping"]);
    for resource in pull.resources.values() {
        let names: Vec<&str> = resource.attributes.keys().map(String::as_str).collect();
        assert_eq!(names, ["launched_at", "os_family", "provider_state", "purchase"]);
    }
    assert!(pull.relations.is_empty());
    outcome(&pull, EU, Kind::Instance, Outcome::Complete);
}

#[tokio::test]
async fn an_instance_without_addresses_says_so() {
    let fake = Fake::start().await;
    fake.put(EU, "DescribeInstances", "i-1", plain_instance("i-1"));
    let pull = pull(&source(&fake, &[EU])).await;
    let instance = one(&pull, Kind::Instance);
    for name in ["private_addresses", "public_addresses", "macs"] {
        assert_eq!(instance.attributes[name], json!([]), "{name}");
    }
    assert_eq!((&instance.attributes["purchase"], instance.name.as_deref()), (&json!("on_demand"), None));
}

#[tokio::test]
async fn every_state_has_a_neutral_word() {
    let fake = Fake::start().await;
    let states = [
        ("<code>0</code><name>pending</name>", "pending"),
        ("<code>16</code>", "running"),
        ("<code>272</code><name>running</name>", "running"),
        ("<name>shutting-down</name>", "stopping"),
        ("<code>64</code><name>stopping</name>", "stopping"),
        ("<code>80</code><name>stopped</name>", "stopped"),
        ("<code>48</code><name>terminated</name>", "terminated"),
        ("<code>96</code><name>hovering</name>", "unknown"),
    ];
    for (n, (xml, _)) in states.iter().enumerate() {
        let id = format!("i-{n}");
        fake.put(EU, "DescribeInstances", &id, reservation(&format!("<instanceId>{id}</instanceId><instanceState>{xml}</instanceState>")));
    }
    let pull = pull(&source(&fake, &[EU])).await;
    let found: Vec<&str> = pull.resources.values().map(|resource| resource.state.as_deref().unwrap()).collect();
    assert_eq!(found, states.map(|(_, word)| word));
    assert_eq!(pull.resources[&key(EU, "instance/i-7")].attributes["provider_state"], json!("hovering"));
}

fn full_interface(reversed: bool) -> String {
    let mut tags = ["<item><key>Name</key><value>front</value></item>", "<item><key>a</key><value>b</value></item>"];
    if reversed {
        tags.reverse();
    }
    format!(
        "<networkInterfaceId>eni-1</networkInterfaceId><ownerId>{ACCOUNT}</ownerId><status>in-use</status><interfaceType>efa</interfaceType>\
         <description>web</description><macAddress>06:AA:00:00:00:01</macAddress><subnetId>subnet-1</subnetId><vpcId>vpc-1</vpcId>\
         <availabilityZone>eu-test-1a</availabilityZone><requesterId>amazon-elb</requesterId><requesterManaged>true</requesterManaged>{GROUPS}\
         <attachment><instanceId>i-0abc</instanceId><instanceOwnerId>{ACCOUNT}</instanceOwnerId><deleteOnTermination>true</deleteOnTermination></attachment>\
         <privateIpAddressesSet><item><privateIpAddress>10.0.0.5</privateIpAddress><association><publicIp>203.0.113.5</publicIp></association></item></privateIpAddressesSet>\
         <tagSet>{}</tagSet>",
        tags.concat()
    )
}

#[tokio::test]
async fn an_interface_is_mapped_whole() {
    let fake = Fake::start().await;
    fake.put(EU, "DescribeNetworkInterfaces", "eni-1", full_interface(false));
    let pull = pull(&source(&fake, &[EU])).await;
    let interface = one(&pull, Kind::NetworkInterface);
    assert_eq!((interface.name.as_deref(), interface.state.as_deref()), (Some("front"), Some("in-use")));
    assert_eq!(
        serde_json::to_value(&interface.attributes).unwrap(),
        json!({
            "interface_type": "efa", "description": "web", "mac": "06:aa:00:00:00:01", "managed_by": "amazon-elb",
            "private_addresses": ["10.0.0.5"], "public_addresses": ["203.0.113.5"], "zone": "eu-test-1a",
            "network": key(EU, "vpc/vpc-1"), "subnet": key(EU, "subnet/subnet-1"), "delete_on_termination": true,
        })
    );
    let edges: Vec<_> =
        pull.relations.values().map(|edge| (edge.relation, edge.to.to_string(), serde_json::to_value(&edge.attributes).unwrap())).collect();
    assert_eq!(
        edges,
        [
            (RelationType::ProtectedBy, key(EU, "security-group/sg-a").to_string(), json!({})),
            (RelationType::ProtectedBy, key(EU, "security-group/sg-b").to_string(), json!({})),
            (RelationType::AttachedTo, key(EU, "instance/i-0abc").to_string(), json!({"delete_on_termination": true})),
            (RelationType::ConnectedTo, key(EU, "subnet/subnet-1").to_string(), json!({})),
        ]
    );
}

#[tokio::test]
async fn an_interface_on_a_machine_of_a_service_is_not_attached() {
    let fake = Fake::start().await;
    let attachment = "<attachment><instanceId>i-1</instanceId><instanceOwnerId>amazon-elb</instanceOwnerId></attachment>";
    fake.put(EU, "DescribeNetworkInterfaces", "eni-1", plain_interface("eni-1") + attachment);
    let detached = "<attachment><attachmentId>a</attachmentId><instanceOwnerId>123456789012</instanceOwnerId></attachment>";
    fake.put(EU, "DescribeNetworkInterfaces", "eni-2", plain_interface("eni-2") + detached);
    assert!(pull(&source(&fake, &[EU])).await.relations.is_empty());
}

fn full_group(reversed: bool) -> String {
    let mut permissions = vec![
        "<ipProtocol>tcp</ipProtocol><fromPort>22</fromPort><toPort>22</toPort>\
         <ipRanges><item><cidrIp>0.0.0.0/0</cidrIp><description>ssh</description></item><item><cidrIp>10.0.0.0/8</cidrIp></item></ipRanges>\
         <ipv6Ranges><item><cidrIpv6>::/0</cidrIpv6></item></ipv6Ranges>",
        "<ipProtocol>17</ipProtocol><fromPort>8000</fromPort><toPort>8080</toPort>\
         <prefixListIds><item><prefixListId>pl-1</prefixListId></item></prefixListIds>\
         <groups><item><groupId>sg-2</groupId><userId>999999999999</userId></item><item><groupId>sg-3</groupId></item></groups>",
        "<ipProtocol>icmp</ipProtocol><fromPort>8</fromPort><toPort>-1</toPort><ipRanges><item><cidrIp>0.0.0.0/0</cidrIp></item></ipRanges>",
    ];
    if reversed {
        permissions.reverse();
    }
    let permissions: String = permissions.into_iter().map(|permission| format!("<item>{permission}</item>")).collect();
    format!(
        "<groupId>sg-1</groupId><groupName>web</groupName><groupDescription>front door</groupDescription><ownerId>{ACCOUNT}</ownerId><vpcId>vpc-1</vpcId>\
         <ipPermissions>{permissions}</ipPermissions><ipPermissionsEgress><item><ipProtocol>-1</ipProtocol>\
         <ipRanges><item><cidrIp>0.0.0.0/0</cidrIp></item></ipRanges></item></ipPermissionsEgress>"
    )
}

#[tokio::test]
async fn rules_have_one_canonical_form() {
    let fake = Fake::start().await;
    fake.put(EU, "DescribeSecurityGroups", "sg-1", full_group(true));
    let pull = pull(&source(&fake, &[EU])).await;
    let group = one(&pull, Kind::SecurityGroup);
    assert_eq!((group.name.as_deref(), group.state.as_deref()), (Some("web"), None));
    let rule = |direction: &str, protocol: &str, ports: &str, peer: serde_json::Value| json!({"direction": direction, "protocol": protocol, "ports": ports, "peer": peer});
    let cidr = |cidr: &str| json!({"type": "cidr", "cidr": cidr});
    let mut ssh = rule("ingress", "tcp", "22", cidr("0.0.0.0/0"));
    ssh["description"] = json!("ssh");
    assert_eq!(
        group.attributes["rules"],
        json!([
            rule("ingress", "icmp", "8", cidr("0.0.0.0/0")),
            ssh,
            rule("ingress", "tcp", "22", cidr("10.0.0.0/8")),
            rule("ingress", "tcp", "22", cidr("::/0")),
            rule("ingress", "udp", "8000-8080", json!({"type": "prefix_list", "id": "pl-1"})),
            rule("ingress", "udp", "8000-8080", json!({"type": "security_group", "id": "sg-2", "account": "999999999999"})),
            rule("ingress", "udp", "8000-8080", json!({"type": "security_group", "id": "sg-3"})),
            rule("egress", "all", "all", cidr("0.0.0.0/0")),
        ])
    );
    assert_eq!(group.attributes["open_to_world"], json!(["icmp/8", "tcp/22"]));
    assert_eq!(group.attributes["description"], json!("front door"));
    let digest = dewpoint_core::model::Digest::of_json(&group.attributes["rules"]).unwrap();
    assert_eq!(group.attributes["rules_digest"], json!(digest.to_string()));
}

#[tokio::test]
async fn what_other_accounts_own_is_left_to_their_listings() {
    let fake = Fake::start().await;
    populate(&fake, EU, 1);
    let foreign = |xml: String| xml.replace(ACCOUNT, "999999999999");
    fake.put(EU, "DescribeSecurityGroups", "sg-9", foreign(plain_group("sg-9")));
    fake.put(EU, "DescribeNetworkInterfaces", "eni-9", foreign(plain_interface("eni-9")));
    let pull = pull(&source(&fake, &[EU])).await;
    assert_eq!(pull.resources.len(), 3);
    others_complete(&pull, "", Kind::Instance);
    assert_eq!(pull.remarks.len(), 2, "{:?}", pull.remarks);
}

#[tokio::test]
async fn instances_of_another_account_make_a_listing_incomplete() {
    let fake = Fake::start().await;
    populate(&fake, EU, 1);
    fake.put(EU, "DescribeInstances", "i-9", plain_instance("i-9").replace(ACCOUNT, "999999999999"));
    let source = source(&fake, &[EU]);
    let pull = pull(&source).await;
    assert_eq!(pull.resources.len(), 3, "what is ours is taken");
    outcome(&pull, EU, Kind::Instance, Outcome::Truncated);
    others_complete(&pull, EU, Kind::Instance);
}
