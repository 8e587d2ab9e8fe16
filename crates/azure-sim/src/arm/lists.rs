//! Lists.

use std::borrow::Cow;

use dewpoint_sim_kit::Response;
use serde_json::{Value, json};

use super::{Call, Last, Listing, action, ok, read_action};
use crate::{
    access::{Reach, group_line, is_below_group},
    error::ApiError,
    ids,
    kind::Kind,
    query::equals,
    render,
    route::{OfSet, Route},
    versions,
    world::{Subscription, Vm},
};

/// An item by its key: folded ids, or names.
type Keyed<'a, T> = (Cow<'a, str>, T);

impl<'a> Call<'a> {
    fn listing<T: 'a>(
        &self,
        items: Vec<Keyed<'a, T>>,
        last: Last,
        render: impl Fn(&Keyed<'a, T>) -> Option<Value> + 'a,
    ) -> Result<Response, ApiError> {
        self.page(Listing { items, key: |item| &item.0, render: Box::new(render), last })
    }

    pub(super) fn subscriptions(&self) -> Result<Response, ApiError> {
        self.query.only(&["$skiptoken"])?;
        let seen = |found: &&Subscription| found.foreign_tenant.is_none() && self.caller.reads(self.world, found);
        let items = self.world.subscriptions.values().filter(seen).map(|found| (Cow::Borrowed(found.id.as_str()), found)).collect();
        let world = self.world;
        self.listing(items, Last::Absent, move |(_, found)| Some(render::subscription(found, &world.tenant)))
    }

    pub(super) fn tenants(&self) -> Result<Response, ApiError> {
        self.query.only(&["$skiptoken"])?;
        let tenant = &self.world.tenant;
        let row = json!({"id": format!("/tenants/{tenant}"), "tenantId": tenant, "displayName": "Simulated", "tenantCategory": "Home"});
        Ok(ok(&json!({"value": [row]})))
    }

    pub(super) fn locations(&self, id: &str) -> Result<Response, ApiError> {
        self.query.only(&["includeextendedlocations"])?;
        let found = self.enter(id)?;
        self.need(&action(&Route::Locations(String::new())), &format!("/subscriptions/{}", found.id))?;
        let rows: Vec<Value> = render::LOCATIONS.into_iter().map(|row| render::location(&found.id, row)).collect();
        Ok(ok(&json!({ "value": rows })))
    }

    /// What the caller may do at the subscription itself. It takes an action of its own there: a role at a group of it does not do.
    pub(super) fn permissions(&self, id: &str) -> Result<Response, ApiError> {
        self.query.only(&["$skiptoken"])?;
        let found = self.enter(id)?;
        let scope = format!("/subscriptions/{}", found.id);
        self.need(&action(&Route::Permissions(String::new())), &scope)?;
        let reaches = |role: &str| crate::access::covers(self.world, role, &scope);
        Ok(ok(&json!({"value": render::permission(&self.caller.application, reaches)})))
    }

    pub(super) fn groups(&self, id: &str) -> Result<Response, ApiError> {
        self.query.only(&["$top", "$filter", "$skiptoken"])?;
        let tag = match self.query.get("$filter") {
            None => None,
            Some(filter) => Some(tag_filter(filter)?),
        };
        let found = self.enter(id)?;
        let action = action(&Route::Groups(String::new()));
        let reach = self.reach(found, None, &action)?;
        let items = found
            .groups
            .values()
            .filter(|group| reach == Reach::All || self.caller.may(self.world, &action, &render::group_resource(&found.id, group)))
            .filter(|group| {
                let Some((name, value)) = &tag else { return true };
                let tags = group.tags.iter().flatten();
                tags.into_iter().any(|(key, held)| key.eq_ignore_ascii_case(name) && value.as_ref().is_none_or(|value| value == held))
            })
            .map(|group| (Cow::Owned(group.name.to_ascii_lowercase()), group))
            .collect();
        let id = &found.id;
        self.listing(items, Last::Absent, move |(_, group)| Some(render::resource_group(id, group)))
    }

    /// All resources of a subscription, without their properties.
    pub(super) fn resources(&self, id: &str) -> Result<Response, ApiError> {
        self.query.only(&["$top", "$filter", "$expand", "$skiptoken"])?;
        let wanted = match self.query.get("$filter") {
            None => None,
            Some(filter) => {
                let kind = equals(filter, "resourceType").ok_or_else(|| bad_filter(filter))?;
                Some(kind.split_once('/').and_then(|(namespace, name)| Kind::of(namespace, name)))
            }
        };
        let expand: Vec<String> =
            self.query.get("$expand").into_iter().flat_map(|text| text.split(',')).map(|name| name.trim().to_owned()).collect();
        if let Some(name) = expand.iter().find(|name| !["createdTime", "changedTime", "provisioningState"].contains(&name.as_str())) {
            return Err(ApiError::new(400, "InvalidExpandParameter", format!("The $expand value '{name}' is not supported.")));
        }
        let found = self.enter(id)?;
        if !self.caller.sees(self.world, found) {
            return Err(self.caller.denied(&action(&Route::Resources(String::new())), &format!("/subscriptions/{}", found.id)));
        }
        let mut items = Vec::new();
        for kind in Kind::ALL {
            if wanted.is_some_and(|wanted| wanted != Some(kind)) {
                continue;
            }
            let action = read_action(kind);
            let reach = self.caller.reach(self.world, &action, found);
            for (key, base) in kind.bases(found) {
                if reach == Reach::All || (reach == Reach::Some && self.caller.may(self.world, &action, key)) {
                    items.push((Cow::Borrowed(key), (kind, base)));
                }
            }
        }
        self.listing(items, Last::Absent, move |(key, (kind, base))| {
            Some(render::resource_row(base, *kind, found.vms.get(key.as_ref()), &expand))
        })
    }

    pub(super) fn skus(&self, id: &str) -> Result<Response, ApiError> {
        self.query.only(&["$filter", "$skiptoken", "includeextendedlocations"])?;
        let region = match self.query.get("$filter") {
            None => None,
            Some(filter) => Some(equals(filter, "location").ok_or_else(|| bad_filter(filter))?.to_owned()),
        };
        let Some(found) = self.enter_provider(id, "Microsoft.Compute")? else { return Ok(ok(&json!({"value": []}))) };
        self.need(&action(&Route::Skus(String::new())), &format!("/subscriptions/{}", found.id))?;
        let rows = render::skus(region.as_deref());
        let items = rows.into_iter().enumerate().map(|(number, row)| (Cow::Owned(format!("{number:06}")), row)).collect();
        self.listing(items, Last::Absent, |(_, row)| Some(row.clone()))
    }

    /// What is below a management group, the nearest first.
    pub(super) fn descendants(&self, name: &str) -> Result<Response, ApiError> {
        self.query.only(&["$top", "$skiptoken"])?;
        self.need_group(name, &action(&Route::Descendants(String::new())))?;
        let mut items: Vec<Keyed<'a, String>> = Vec::new();
        for (group, found) in &self.world.management_groups {
            let above = group_line(self.world, found.parent.as_deref());
            if above.iter().any(|above| above.eq_ignore_ascii_case(name)) {
                let id = format!("/providers/Microsoft.Management/managementGroups/{group}");
                items.push((Cow::Owned(format!("group {group}")), id));
            }
        }
        for found in self.world.subscriptions.values().filter(|found| found.foreign_tenant.is_none()) {
            if is_below_group(self.world, found, name) {
                items.push((Cow::Owned(format!("subscription {}", found.id)), format!("/subscriptions/{}", found.id)));
            }
        }
        let world = self.world;
        self.listing(items, Last::Null, move |(_, id)| render::descendant(world, id))
    }

    /// The resources of a kind that the caller may read.
    fn readable(&self, kind: Kind, subscription: &'a Subscription, group: Option<&str>) -> Result<Vec<Keyed<'a, ()>>, ApiError> {
        if let Some(name) = group {
            self.existing_group(subscription, name)?;
        }
        let action = read_action(kind);
        let reach = self.reach(subscription, group, &action)?;
        let here = |id: &str| group.is_none_or(|group| ids::group(id).eq_ignore_ascii_case(group));
        Ok(kind
            .bases(subscription)
            .into_iter()
            .filter(|(key, _)| here(key) && (reach == Reach::All || self.caller.may(self.world, &action, key)))
            .map(|(key, _)| (Cow::Borrowed(key), ()))
            .collect())
    }

    /// A list of any kind but machines.
    pub(super) fn list(&self, kind: Kind, subscription: &str, group: Option<&str>) -> Result<Response, ApiError> {
        self.query.only(&["$skiptoken"])?;
        let last = match kind {
            Kind::Nic | Kind::Disk => Last::Null,
            Kind::LoadBalancer => Last::Empty,
            _ => Last::Absent,
        };
        let Some(found) = self.enter_provider(subscription, kind.namespace())? else { return Ok(ok(&json!({"value": []}))) };
        let items = self.readable(kind, found, group)?;
        let view = self.view();
        self.listing(items, last, move |(key, ())| render::resource(kind, found, key, view))
    }

    /// The list of machines, which has options of its own.
    pub(super) fn vms(&self, subscription: &str, group: Option<&str>) -> Result<Response, ApiError> {
        self.query.only(&["statusonly", "$filter", "$expand", "$skiptoken"])?;
        let status_only = match self.query.get("statusonly") {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => return Err(ApiError::parameter(format!("The value '{other}' of parameter statusOnly is invalid."))),
        };
        let expand = match self.query.get("$expand") {
            None => false,
            Some(value) if !value.eq_ignore_ascii_case("instanceView") => {
                return Err(ApiError::parameter(format!(
                    "The value '{value}' of parameter $expand is invalid. Allowed values are: instanceView."
                )));
            }
            Some(_) if self.query.get("$filter").is_none() => {
                return Err(ApiError::parameter(
                    "The $expand parameter is allowed only together with a $filter on 'virtualMachineScaleSet/id'.",
                ));
            }
            Some(_) => true,
        };
        let set = match self.query.get("$filter") {
            None => None,
            Some(_) if status_only => return Err(ApiError::parameter("The parameters statusOnly and $filter exclude each other.")),
            Some(filter) => Some(self.set_filter(filter)?),
        };
        let Some(found) = self.enter_provider(subscription, "Microsoft.Compute")? else { return Ok(ok(&json!({"value": []}))) };
        let mut items = self.readable(Kind::Vm, found, group)?;
        if let Some(set) = &set {
            let is_member = |vm: &Vm| vm.scale_set.as_ref().is_some_and(|id| ids::fold(id) == *set);
            items.retain(|(key, ())| found.vms.get(key.as_ref()).is_some_and(is_member));
        }
        let view = self.view();
        self.listing(items, Last::Absent, move |(key, ())| {
            let vm = found.vms.get(key.as_ref())?;
            if status_only {
                return Some(render::status_only(vm, view));
            }
            let mut item = render::resource(Kind::Vm, found, key, view)?;
            if expand {
                render::set_power(&mut item, vm);
            }
            Some(item)
        })
    }

    /// The folded id of the flexible scale set that a filter names.
    fn set_filter(&self, filter: &str) -> Result<String, ApiError> {
        let id = equals(filter, "virtualMachineScaleSet/id").ok_or_else(|| bad_filter(filter))?;
        if !self.query.get("api-version").is_some_and(versions::filters_by_set) {
            return Err(bad_filter(filter));
        }
        let key = ids::fold(id);
        let set = self.world.find(ids::subscription(id)).and_then(|found| found.scale_sets.get(&key));
        match set {
            Some(set) if set.is_flexible() => Ok(key),
            Some(_) => Err(ApiError::parameter(
                "The filter on 'virtualMachineScaleSet/id' is supported for scale sets of orchestration mode Flexible only.",
            )),
            None => Err(ApiError::resource_not_found(Kind::ScaleSet.full_name(), ids::name(id), ids::group(id))),
        }
    }

    /// Whatever is asked of a uniform scale set.
    pub(super) fn of_set(&self, subscription: &str, group: &str, name: &str, what: &OfSet) -> Result<Response, ApiError> {
        match what {
            OfSet::Vms | OfSet::Vm(_) => self.query.only(&["$expand", "$skiptoken"])?,
            _ => self.query.only(&["$skiptoken"])?,
        }
        let expand = match self.query.get("$expand") {
            None => false,
            Some(value) if value.eq_ignore_ascii_case("instanceView") => true,
            Some(value) => return Err(ApiError::parameter(format!("The value '{value}' of parameter $expand is invalid."))),
        };
        if let OfSet::Vm(number) | OfSet::VmInstanceView(number) | OfSet::VmNics(number) = what
            && number.parse::<u32>().is_err()
        {
            return Err(ApiError::parameter("The value of parameter instanceId is invalid: instanceId must be a number."));
        }
        let set = self.uniform_set(subscription, group, name, what)?;
        let view = self.view();
        let all = || set.instances.iter().map(|(number, instance)| (Cow::Owned(format!("{number:010}")), (*number, instance)));
        let missing =
            |wanted: &str| ApiError::new(404, "NotFound", format!("The entity {name}_{wanted} was not found in this Azure location."));
        let one = |wanted: &str| {
            let number = wanted.parse().unwrap_or(u32::MAX);
            set.instances.get(&number).map(|instance| (number, instance)).ok_or_else(|| missing(wanted))
        };
        let status = |instance: &crate::world::Instance| render::instance_view(instance.power, &instance.provisioning, &[], None);
        let show = move |number: u32, instance: &crate::world::Instance| {
            let mut item = render::instance(set, number, instance, view);
            if expand && let Some(properties) = item.get_mut("properties") {
                render::put(properties, "instanceView", Some(status(instance)));
            }
            item
        };
        match what {
            OfSet::Vms => self.listing(all().collect(), Last::Absent, move |(_, (number, instance))| Some(show(*number, instance))),
            OfSet::Vm(wanted) => {
                let (number, instance) = one(wanted)?;
                self.single(show(number, instance)).ok_or_else(|| missing(wanted))
            }
            OfSet::VmInstanceView(number) => one(number).map(|(_, instance)| ok(&status(instance))),
            OfSet::Nics => self
                .listing(all().collect(), Last::Absent, move |(_, (number, instance))| Some(render::instance_nic(set, *number, instance))),
            OfSet::VmNics(number) => {
                let (number, instance) = one(number)?;
                let mut value = vec![render::instance_nic(set, number, instance)];
                super::quirks::spoil(&mut value, self.effect);
                Ok(ok(&json!({ "value": value })))
            }
            OfSet::PublicIps => {
                let items = all().filter(|(_, (_, instance))| instance.public_ip.is_some()).collect();
                self.listing(items, Last::Absent, move |(_, (number, instance))| render::instance_public_ip(set, *number, instance))
            }
        }
    }
}

fn bad_filter(filter: &str) -> ApiError {
    ApiError::new(400, "InvalidFilterInQueryString", format!("Invalid $filter '{filter}' specified in the query string."))
}

/// `tagName eq 'x'`, with `and tagValue eq 'y'` or without.
fn tag_filter(filter: &str) -> Result<(String, Option<String>), ApiError> {
    let (name, value) = match filter.split_once(" and ") {
        Some((name, value)) => (name, Some(value)),
        None => (filter, None),
    };
    let name = equals(name, "tagName").ok_or_else(|| bad_filter(filter))?;
    let value = match value {
        Some(value) => Some(equals(value, "tagValue").ok_or_else(|| bad_filter(filter))?.to_owned()),
        None => None,
    };
    Ok((name.to_owned(), value))
}
