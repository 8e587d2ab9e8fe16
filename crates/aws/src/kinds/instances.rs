//! Instances: `ec2:DescribeInstances`.

use std::collections::BTreeSet;

use async_trait::async_trait;
use aws_sdk_ec2::types::{Instance, InstanceState as WireState, Reservation};
use dewpoint_core::model::{Attributes, InstanceState, Kind, Relation, RelationType, Resource};
use jiff::Timestamp;

use crate::action::Action;
use crate::error::Fault;
use crate::map::{Addresses, Facts, Found, Place, Refused, ec2_tags, edge, filled, group_ids, instant, protected_by};
use crate::paging::{Ask, EC2_PAGE, Pages};
use crate::session::Calls;

pub(crate) const ACTION: Action = Action::ec2("ec2:DescribeInstances");

/// The instances of a place.
///
/// Terminated instances stay listed, usually for less than an hour and without their network fields: the state is the signal,
/// not the absence. Instances that a service manages are asked for expressly, since an account setting can hide them.
/// Source: Amazon EC2 API Reference, DescribeInstances and GetManagedResourceVisibility.
pub(crate) struct Instances<'a>(pub(crate) &'a Place);

#[async_trait]
impl Pages for Instances<'_> {
    type Out = Found;

    fn action(&self) -> Action {
        ACTION
    }

    async fn page(&self, calls: &Calls<'_>, ask: &Ask<'_>, found: &mut Found) -> Result<Option<String>, Fault> {
        let send = |meter| {
            let call = calls.clients().ec2().describe_instances().include_managed_resources(true).max_results(ask.size(EC2_PAGE));
            call.set_next_token(ask.token()).set_filters(ask.filters("instance-id")).customize().interceptor(meter).send()
        };
        let answer = calls.call(ACTION, send).await?;
        for reservation in answer.reservations() {
            take(self.0, reservation, found);
        }
        Ok(answer.next_token)
    }
}

fn take(place: &Place, reservation: &Reservation, found: &mut Found) {
    for instance in reservation.instances() {
        // Counted alone: what such an answer says of owners holds for no other listing.
        if place.is_foreign(reservation.owner_id()) {
            found.foreign += 1;
            continue;
        }
        found.take(map(place, reservation, instance));
    }
}

fn map(place: &Place, reservation: &Reservation, instance: &Instance) -> Result<(Resource, Vec<Relation>), Refused> {
    let reservation_id = filled(reservation.reservation_id()).unwrap_or("?");
    let Some(id) = filled(instance.instance_id()) else {
        return Err(Refused::new("", format!("an instance of reservation {reservation_id} has no id")));
    };
    let Some((state, provider_state)) = instance.state().and_then(neutral) else {
        return Err(Refused::new(id, "the instance has no state"));
    };
    let key = place.key(&format!("instance/{id}"))?;
    let launched_at = instant(instance.launch_time());
    let subnet = place.subnet(instance.subnet_id())?;
    let network = place.network(instance.vpc_id())?;
    let zone = instance.placement().and_then(|placement| filled(placement.availability_zone()));

    let mut facts = Facts::default();
    facts.text("size", instance.instance_type().map(|size| size.as_str()));
    facts.text("purchase", Some(&purchase(instance)));
    facts.text("image", instance.image_id());
    facts.text("os_family", Some(os_family(instance)));
    facts.text("architecture", instance.architecture().map(|architecture| architecture.as_str()));
    facts.text("zone", zone);
    facts.count("vcpus", vcpus(instance));
    facts.text("tenancy", instance.placement().and_then(|placement| placement.tenancy()).map(|tenancy| tenancy.as_str()));
    facts.key("network", network.as_ref());
    facts.key("subnet", subnet.as_ref());
    facts.time("launched_at", launched_at);
    facts.text("provider_state", provider_state);
    facts.text("instance_profile", instance.iam_instance_profile().and_then(|profile| profile.arn()));
    facts.text("launched_by", reservation.requester_id());
    facts.text("managed_by", instance.operator().and_then(|operator| operator.principal()));
    facts.text("private_dns_name", instance.private_dns_name());
    facts.text("public_dns_name", instance.public_dns_name());
    network_facts(instance, state, &mut facts);

    let mut groups: BTreeSet<&str> = group_ids(id, instance.security_groups())?;
    for interface in instance.network_interfaces() {
        // The instance's own set covers its primary interface only.
        groups.extend(group_ids(id, interface.groups())?);
    }
    let mut relations = protected_by(place, &key, groups)?;
    if let Some(zone) = zone {
        relations.push(edge(&key, RelationType::LocatedIn, place.zone(zone)?, Attributes::new()));
    }

    let mut resource = place.resource(Kind::Instance, key, id, ec2_tags(instance.tags()));
    resource.state = Some(state.as_str().to_owned());
    resource.created_at = birth(instance, launched_at);
    resource.attributes = facts.finish();
    Ok((resource, relations))
}

/// Addresses and MACs. A machine on its way out loses its interfaces first: there an empty list says nothing and is left out.
fn network_facts(instance: &Instance, state: InstanceState, facts: &mut Facts) {
    let mut addresses = Addresses::default();
    let mut macs = BTreeSet::new();
    addresses.add_private(instance.private_ip_address());
    addresses.add_public(instance.public_ip_address());
    for interface in instance.network_interfaces() {
        macs.extend(filled(interface.mac_address()).map(str::to_lowercase));
        addresses.add_private(interface.private_ip_address());
        if let Some(association) = interface.association() {
            addresses.add_public(association.public_ip());
            addresses.add_public(association.carrier_ip());
        }
        for address in interface.private_ip_addresses() {
            addresses.add_private(address.private_ip_address());
            if let Some(association) = address.association() {
                addresses.add_public(association.public_ip());
                addresses.add_public(association.carrier_ip());
            }
        }
        for address in interface.ipv6_addresses() {
            addresses.add_v6(address.ipv6_address());
        }
    }
    let ending = state == InstanceState::Terminated || (state == InstanceState::Stopping && instance.network_interfaces().is_empty());
    for (name, texts) in [("private_addresses", addresses.private), ("public_addresses", addresses.public), ("macs", macs)] {
        if !(ending && texts.is_empty()) {
            facts.texts(name, texts);
        }
    }
}

/// The vCPUs that the machine was launched with, which can be fewer than its type has. Absent from older listings.
fn vcpus(instance: &Instance) -> Option<i32> {
    let options = instance.cpu_options()?;
    options.core_count()?.checked_mul(options.threads_per_core()?)
}

/// Birth of the machine: a stop and a start move the launch time, but not when its primary interface and its root volume were attached.
fn birth(instance: &Instance, launched_at: Option<Timestamp>) -> Option<Timestamp> {
    let interfaces = instance.network_interfaces().iter().filter_map(|interface| interface.attachment());
    let interface = interfaces.filter(|attachment| attachment.device_index() == Some(0)).filter_map(|attachment| attachment.attach_time());
    let root = filled(instance.root_device_name());
    let volumes = instance.block_device_mappings().iter().filter(|volume| root.is_some() && filled(volume.device_name()) == root);
    let volume = volumes.filter_map(|volume| volume.ebs()).filter_map(|volume| volume.attach_time());
    interface.chain(volume).filter_map(|time| instant(Some(time))).chain(launched_at).min()
}

/// The neutral state and EC2's own word. Only the low byte of the code counts; the high byte is for EC2's internal use.
///
/// Source: Amazon EC2 API Reference, InstanceState.
fn neutral(state: &WireState) -> Option<(InstanceState, Option<&str>)> {
    let word = state.name().map(|name| name.as_str()).and_then(|word| filled(Some(word)));
    let neutral = match (state.code().map(|code| code & 0xff), word) {
        (Some(0), _) | (None, Some("pending")) => InstanceState::Pending,
        (Some(16), _) | (None, Some("running")) => InstanceState::Running,
        (Some(32 | 64), _) | (None, Some("shutting-down" | "stopping")) => InstanceState::Stopping,
        (Some(48), _) | (None, Some("terminated")) => InstanceState::Terminated,
        (Some(80), _) | (None, Some("stopped")) => InstanceState::Stopped,
        (None, None) => return None,
        _ => InstanceState::Unknown,
    };
    Some((neutral, word))
}

/// `on_demand`, or EC2's word for another way to buy, in our spelling: `spot`, `scheduled`, `capacity_block` …
fn purchase(instance: &Instance) -> String {
    let lifecycle = instance.instance_lifecycle().map(|lifecycle| lifecycle.as_str());
    filled(lifecycle).map_or_else(|| "on_demand".to_owned(), |word| word.replace('-', "_"))
}

/// EC2 tells Windows from all else; Mac instances run macOS only.
fn os_family(instance: &Instance) -> &'static str {
    // The wire says `windows`, the SDK's vocabulary `Windows`.
    let says_windows = |word: Option<&str>| word.is_some_and(|word| word.to_lowercase().starts_with("windows"));
    let windows = says_windows(instance.platform().map(|platform| platform.as_str())) || says_windows(instance.platform_details());
    let mac = instance.instance_type().is_some_and(|size| size.as_str().starts_with("mac"));
    match (windows, mac) {
        (true, _) => "windows",
        (false, true) => "macos",
        (false, false) => "linux",
    }
}
