//! Azure Resource Manager: what calls that were let through are answered.

mod lists;
mod quirks;
mod single;

use dewpoint_sim_kit::{Request, Response, hash::keyed};
use serde_json::{Value, json};

pub(crate) use quirks::spoil;

use crate::{
    access::{Caller, Reach},
    error::ApiError,
    fault::Effect,
    graph, ids,
    index::Index,
    kind::Kind,
    page::{Cursor, escape},
    query::Query,
    render::View,
    route::{OfSet, Route},
    server::Server,
    settings::{Settings, Unregistered},
    world::{ResourceGroup, ScaleSet, Subscription, World},
};

/// A call that was let through.
pub(crate) struct Call<'a> {
    pub(crate) server: &'a Server,
    pub(crate) request: &'a Request,
    pub(crate) world: &'a World,
    pub(crate) index: &'a Index,
    pub(crate) settings: &'a Settings,
    pub(crate) caller: &'a Caller,
    pub(crate) query: &'a Query,
    /// As `https://127.0.0.1:4443`, as the caller has it.
    pub(crate) base: &'a str,
    /// A fault that changes the answer from within.
    pub(crate) effect: Option<&'a Effect>,
}

/// How a last page says that it is the last: this differs between providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Absent,
    Null,
    Empty,
}

/// An item as it goes out; `None` leaves it out.
type Render<'a, T> = dyn Fn(&T) -> Option<Value> + 'a;

/// A list with its pages: keys of its items, which are rendered for the page only.
struct Listing<'a, T> {
    items: Vec<T>,
    key: fn(&T) -> &str,
    render: Box<Render<'a, T>>,
    last: Last,
}

/// The action that a role has to give for a call.
pub(crate) fn action(route: &Route) -> String {
    match route {
        Route::Subscriptions | Route::Tenants | Route::Subscription(_) => "Microsoft.Resources/subscriptions/read".to_owned(),
        Route::Locations(_) => "Microsoft.Resources/subscriptions/locations/read".to_owned(),
        Route::Permissions(_) => "Microsoft.Authorization/permissions/read".to_owned(),
        Route::Groups(_) | Route::Group(..) => "Microsoft.Resources/subscriptions/resourceGroups/read".to_owned(),
        Route::Resources(_) => "Microsoft.Resources/subscriptions/resources/read".to_owned(),
        Route::Skus(_) => "Microsoft.Compute/skus/read".to_owned(),
        Route::Descendants(_) => "Microsoft.Management/managementGroups/descendants/read".to_owned(),
        Route::ManagementGroup(_) => "Microsoft.Management/managementGroups/read".to_owned(),
        Route::Graph => "Microsoft.ResourceGraph/resources/read".to_owned(),
        Route::List { kind, .. } | Route::Get { kind, .. } => read_action(*kind),
        Route::InstanceView { .. } => "Microsoft.Compute/virtualMachines/instanceView/read".to_owned(),
        Route::OfSet { what, .. } => what.action().to_owned(),
    }
}

/// The action that a role has to give to read a kind of resource.
pub(crate) fn read_action(kind: Kind) -> String {
    format!("{}/read", kind.full_name())
}

/// What a token of a list is bound to.
fn binding(request: &Request, query: &Query, client: &str) -> u64 {
    let path = request.path.trim_end_matches('/').to_ascii_lowercase();
    query.lasting().fold(keyed(keyed(21, &path), client), |hash, (name, value)| keyed(keyed(hash, &name.to_ascii_lowercase()), value))
}

/// The page of a list that a call is about; 1 for all other calls.
pub(crate) fn page_of(route: &Route, query: &Query, caller: &Caller, request: &Request) -> u32 {
    if matches!(route, Route::Graph) {
        return graph::page_of(&request.body);
    }
    let token = query.get("$skiptoken");
    token.and_then(|token| Cursor::read(token, binding(request, query, &caller.client))).map_or(1, |cursor| cursor.page)
}

impl<'a> Call<'a> {
    /// The answer.
    pub(crate) fn answer(&self, route: &Route) -> Result<Response, ApiError> {
        match route {
            Route::Subscriptions => self.subscriptions(),
            Route::Tenants => self.tenants(),
            Route::Subscription(id) => self.subscription(id),
            Route::Locations(id) => self.locations(id),
            Route::Permissions(id) => self.permissions(id),
            Route::Groups(id) => self.groups(id),
            Route::Group(id, name) => self.group(id, name),
            Route::Resources(id) => self.resources(id),
            Route::Skus(id) => self.skus(id),
            Route::Descendants(name) => self.descendants(name),
            Route::ManagementGroup(name) => self.management_group(name),
            Route::Graph => graph::answer(self),
            Route::List { kind: Kind::Vm, subscription, group } => self.vms(subscription, group.as_deref()),
            Route::List { kind, subscription, group } => self.list(*kind, subscription, group.as_deref()),
            Route::Get { kind, subscription, group, name } => self.get(*kind, subscription, group, name),
            Route::InstanceView { subscription, group, name } => self.instance_view(subscription, group, name),
            Route::OfSet { subscription, group, set, what } => self.of_set(subscription, group, set, what),
        }
    }

    fn view(&self) -> View<'a> {
        View { index: self.index, vm_case: self.settings.vm_case }
    }

    /// The subscription, once it can be called at all.
    fn enter(&self, id: &str) -> Result<&'a Subscription, ApiError> {
        let Some(found) = self.world.find(id) else { return Err(ApiError::subscription_not_found(id)) };
        if let Some(tenant) = &found.foreign_tenant {
            let message = format!(
                "The access token is from the wrong issuer. It must match the tenant '{tenant}' associated with this subscription. \
                 Please use the authority (URL) '{}/{tenant}' to get the token.",
                self.base
            );
            let challenge =
                format!("Bearer authorization_uri=\"{}/{tenant}\", error=\"invalid_token\", error_description=\"wrong issuer\"", self.base);
            return Err(ApiError::new(401, "InvalidAuthenticationTokenTenant", message).header("WWW-Authenticate", challenge));
        }
        Ok(found)
    }

    /// The subscription for a call of this provider's. `None` when its list is empty because the provider is not registered.
    fn enter_provider(&self, id: &str, namespace: &str) -> Result<Option<&'a Subscription>, ApiError> {
        let found = self.enter(id)?;
        if found.disallowed {
            let message = format!(
                "The operation is not permitted for namespace '{namespace}'. List of permitted provider namespaces is \
                 'Microsoft.Authorization,Microsoft.Features,microsoft.insights,Microsoft.ResourceHealth,Microsoft.Support'."
            );
            return Err(ApiError::new(403, "DisallowedOperation", message));
        }
        if !found.unregistered.contains(namespace) {
            return Ok(Some(found));
        }
        match self.settings.unregistered {
            Unregistered::Empty => Ok(None),
            Unregistered::Conflict => {
                let message = format!(
                    "The subscription is not registered to use namespace '{namespace}'. See https://aka.ms/rps-not-found for how to register subscriptions."
                );
                Err(ApiError::new(409, "MissingSubscriptionRegistration", message))
            }
        }
    }

    /// Whether an action reaches a subscription, or a group of it; all of it, or some.
    fn reach(&self, subscription: &Subscription, group: Option<&str>, action: &str) -> Result<Reach, ApiError> {
        let mut scope = format!("/subscriptions/{}", subscription.id);
        let reach = self.caller.reach(self.world, action, subscription);
        if let (Some(group), Reach::Some) = (group, reach) {
            scope = format!("{scope}/resourceGroups/{group}");
            if self.caller.may(self.world, action, &scope) {
                return Ok(Reach::All);
            }
        }
        match reach {
            Reach::None => Err(self.caller.denied(action, &scope)),
            reach => Ok(reach),
        }
    }

    /// 403 unless the action is given for a resource.
    fn need(&self, action: &str, id: &str) -> Result<(), ApiError> {
        if self.caller.may(self.world, action, id) { Ok(()) } else { Err(self.caller.denied(action, id)) }
    }

    fn existing_group(&self, subscription: &'a Subscription, name: &str) -> Result<&'a ResourceGroup, ApiError> {
        subscription.groups.get(&name.to_ascii_lowercase()).ok_or_else(|| ApiError::group_not_found(name))
    }

    /// A scale set whose instances are under it.
    fn uniform_set(&self, subscription: &str, group: &str, name: &str, what: &OfSet) -> Result<&'a ScaleSet, ApiError> {
        let namespace = if what.is_network() { "Microsoft.Network" } else { "Microsoft.Compute" };
        let found = self.enter_provider(subscription, namespace)?;
        let id = ids::resource(subscription, group, Kind::ScaleSet.full_name(), name);
        self.need(what.action(), &id)?;
        let missing = || ApiError::resource_not_found(Kind::ScaleSet.full_name(), name, group);
        let found = found.ok_or_else(missing)?;
        self.existing_group(found, group)?;
        let set = found.scale_sets.get(&ids::fold(&id)).ok_or_else(missing)?;
        if set.is_flexible() {
            return Err(ApiError::parameter("The value of parameter instanceId is invalid: instanceId must be a number."));
        }
        Ok(set)
    }

    /// The page of a list that the call is about.
    fn page<T>(&self, listing: Listing<'_, T>) -> Result<Response, ApiError> {
        let binding = binding(self.request, self.query, &self.caller.client);
        let cursor = match self.query.get("$skiptoken") {
            None => Cursor::first(),
            Some(token) => Cursor::read(token, binding).ok_or_else(ApiError::bad_token)?,
        };
        let (least, most) = self.settings.page_items;
        let top = self.query.top()?.unwrap_or(usize::MAX);
        let items = if self.effect == Some(&Effect::EmptyList) { Vec::new() } else { listing.items };
        let sizes = (least.min(top), most.min(top));
        let (items, next) = cursor.take(items, sizes, self.settings.empty_page, keyed(self.settings.seed, &self.request.path), listing.key);
        let mut value: Vec<Value> = items.iter().filter_map(|item| (listing.render)(item)).collect();
        quirks::spoil(&mut value, self.effect);
        let mut body = json!({ "value": value });
        let link = self.next_link(&cursor, next.as_ref(), binding);
        let link = match (link, listing.last) {
            (Some(link), _) => Some(Value::String(link)),
            (None, Last::Absent) => None,
            (None, Last::Null) => Some(Value::Null),
            (None, Last::Empty) => Some(Value::String(String::new())),
        };
        crate::render::put(&mut body, "nextLink", link);
        Ok(ok(&body))
    }

    /// Where the next page is, or whatever a fault makes of it.
    fn next_link(&self, this: &Cursor, next: Option<&Cursor>, binding: u64) -> Option<String> {
        let first = Cursor::first();
        let cursor = match self.effect {
            Some(Effect::RepeatNextLink) => Some(this),
            Some(Effect::LoopNextLink) => Some(&first),
            Some(Effect::ForeignNextLink { .. } | Effect::LongNextLink) => Some(next.unwrap_or(this)),
            _ => next,
        }?;
        let base = match self.effect {
            Some(Effect::ForeignNextLink { base }) => base.clone(),
            _ => with_port(self.base),
        };
        let version = match self.effect {
            Some(Effect::NextLinkVersion { version }) => version,
            _ => self.query.get("api-version").unwrap_or_default(),
        };
        let raw = self.effect == Some(&Effect::RawNextLink);
        let text = |text: &str| if raw { text.to_owned() } else { escape(text) };
        let mut link = format!("{base}{}?api-version={version}", self.request.path);
        for (name, value) in self.query.lasting() {
            link.push_str(&format!("&{name}={}", text(value)));
        }
        if let Some(top) = self.query.get("$top") {
            link.push_str(&format!("&$top={top}"));
        }
        link.push_str(&format!("&$skiptoken={}", escape(&cursor.write(binding))));
        if self.effect == Some(&Effect::LongNextLink) {
            link.push_str(&"%2f".repeat(3000));
        }
        Some(link)
    }
}

/// Some providers write the port out where the caller did not.
fn with_port(base: &str) -> String {
    match base.split_once("://") {
        Some(("https", host)) if !host.contains(':') => format!("{base}:443"),
        _ => base.to_owned(),
    }
}

/// 200 with JSON.
pub(crate) fn ok(body: &Value) -> Response {
    Response::of(200, "application/json; charset=utf-8", body.to_string()).header("Cache-Control", "no-cache")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_written_out() {
        assert_eq!(with_port("https://management.azure.com"), "https://management.azure.com:443");
        assert_eq!(with_port("https://127.0.0.1:4443"), "https://127.0.0.1:4443");
    }
}
