//! Single resources.

use dewpoint_sim_kit::Response;
use serde_json::json;

use super::{Call, action, ok, read_action};
use crate::{
    access::group_line,
    error::ApiError,
    ids,
    kind::Kind,
    render,
    route::Route,
    world::{Subscription, Vm},
};

impl<'a> Call<'a> {
    pub(super) fn subscription(&self, id: &str) -> Result<Response, ApiError> {
        self.query.only(&[])?;
        let found = self.enter(id)?;
        if !self.caller.reads(self.world, found) {
            return Err(self.caller.denied("Microsoft.Resources/subscriptions/read", &format!("/subscriptions/{}", found.id)));
        }
        Ok(ok(&render::subscription(found, &self.world.tenant)))
    }

    pub(super) fn group(&self, id: &str, name: &str) -> Result<Response, ApiError> {
        self.query.only(&[])?;
        let found = self.enter(id)?;
        self.need(&action(&Route::Groups(String::new())), &format!("/subscriptions/{}/resourceGroups/{name}", found.id))?;
        self.single(render::resource_group(&found.id, self.existing_group(found, name)?)).ok_or_else(|| ApiError::group_not_found(name))
    }

    pub(super) fn management_group(&self, name: &str) -> Result<Response, ApiError> {
        self.query.only(&[])?;
        self.need_group(name, &action(&Route::ManagementGroup(String::new())))?;
        let found = self.world.management_groups.get(name);
        let display = found.map_or("Tenant Root Group", |found| &found.display_name);
        let parent = group_line(self.world, found.and_then(|found| found.parent.as_deref())).first().map(|parent| (*parent).to_owned());
        let mut details = json!({"version": 1});
        if let (Some(_), Some(parent)) = (found, parent) {
            let id = format!("/providers/Microsoft.Management/managementGroups/{parent}");
            render::put(&mut details, "parent", Some(json!({"id": id, "name": parent})));
        }
        Ok(ok(&json!({
            "id": format!("/providers/Microsoft.Management/managementGroups/{name}"),
            "type": "Microsoft.Management/managementGroups",
            "name": name,
            "properties": {"tenantId": self.world.tenant, "displayName": display, "details": details},
        })))
    }

    /// 403 unless a role gives the action at a management group; 404 when there is no such group.
    pub(super) fn need_group(&self, name: &str, action: &str) -> Result<(), ApiError> {
        let id = format!("/providers/Microsoft.Management/managementGroups/{name}");
        let line = group_line(self.world, Some(name));
        let may = line.iter().any(|above| {
            let scope = format!("/providers/Microsoft.Management/managementGroups/{above}");
            let held =
                self.caller.application.assignments.iter().filter(|held| held.scope == "/" || held.scope.eq_ignore_ascii_case(&scope));
            held.into_iter().any(|held| crate::access::gives(held, action))
        });
        if !may {
            return Err(self.caller.denied(action, &id));
        }
        if name != self.world.tenant && !self.world.management_groups.contains_key(name) {
            let message = format!("The management group '{name}' cannot be found.");
            return Err(ApiError::new(404, "NotFound", message));
        }
        Ok(())
    }

    /// A resource that is there, or 404 in the words of its kind.
    pub(super) fn get(&self, kind: Kind, subscription: &str, group: &str, name: &str) -> Result<Response, ApiError> {
        self.query.only(if kind == Kind::Vm { &["$expand"] } else { &[] })?;
        let (found, key) = self.find(kind, subscription, group, name, &read_action(kind))?;
        let missing = || ApiError::resource_not_found(kind.full_name(), name, group);
        let mut item = render::resource(kind, found, &key, self.view()).ok_or_else(missing)?;
        if kind == Kind::Vm {
            let vm = living(found, &key).ok_or_else(missing)?;
            match self.query.get("$expand") {
                None => {}
                Some(value) if value.eq_ignore_ascii_case("instanceView") => render::set_power(&mut item, vm),
                Some(value) if value.eq_ignore_ascii_case("userData") => {
                    if let Some(properties) = item.get_mut("properties") {
                        render::put(properties, "userData", Some("c2VjcmV0IG9mIHRoZSBtYWNoaW5l"));
                    }
                }
                Some(value) => return Err(ApiError::parameter(format!("The value '{value}' of parameter $expand is invalid."))),
            }
        }
        self.single(item).ok_or_else(missing)
    }

    /// A single resource, or what a fault makes of it; `None` where that is nothing.
    pub(super) fn single(&self, item: serde_json::Value) -> Option<Response> {
        let mut items = vec![item];
        super::quirks::spoil(&mut items, self.effect);
        items.first().map(ok)
    }

    pub(super) fn instance_view(&self, subscription: &str, group: &str, name: &str) -> Result<Response, ApiError> {
        self.query.only(&[])?;
        let action = "Microsoft.Compute/virtualMachines/instanceView/read";
        let (found, key) = self.find(Kind::Vm, subscription, group, name, action)?;
        let vm = living(found, &key).ok_or_else(|| ApiError::resource_not_found(Kind::Vm.full_name(), name, group))?;
        Ok(ok(&render::instance_view(vm.power, &vm.provisioning, &vm.statuses, Some(vm))))
    }

    /// The subscription that should have a resource, and the key that it has there.
    fn find(&self, kind: Kind, subscription: &str, group: &str, name: &str, action: &str) -> Result<(&'a Subscription, String), ApiError> {
        let found = self.enter_provider(subscription, kind.namespace())?;
        let id = ids::resource(subscription, group, kind.full_name(), name);
        // Whoever may not read it does not learn whether it is there.
        self.need(action, &id)?;
        let found = found.ok_or_else(|| ApiError::resource_not_found(kind.full_name(), name, group))?;
        self.existing_group(found, group)?;
        Ok((found, ids::fold(&id)))
    }
}

/// A machine that is not on its way out: one that is cannot be asked for any more.
fn living<'a>(subscription: &'a Subscription, key: &str) -> Option<&'a Vm> {
    subscription.vms.get(key).filter(|vm| vm.provisioning != "Deleting")
}
