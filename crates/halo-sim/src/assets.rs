//! Reading and deleting assets.

use std::cmp::Ordering;

use dewpoint_sim_kit::hash::mix;
use serde_json::{Value, json};

use crate::{
    call::Call,
    clock,
    page::Window,
    query::Params,
    render::{self, View},
    reply::{ApiError, Body, Reply},
    store::{Asset, Change},
    tenant::Tenant,
};

/// Answers `GET /api/Asset`.
pub(crate) fn list(call: &Call<'_>) -> Result<Reply, ApiError> {
    let (tenant, params) = (&*call.tenant, call.params);
    let window = Window::of(params, call.settings)?;
    let filter = Filter::of(tenant, params)?;
    let type_id = params.int("assettype_id")?;
    let view = View {
        fields: params.flag("includeassetfields")? && (type_id.is_some() || !call.settings.fields_need_type),
        statuses: params.flag("includeallowedstatus")?,
    };
    let custom = params.ids("include_custom_fields").unwrap_or_default();
    let id_only = params.flag("idonly")?;
    let sees = |asset: &&Asset| call.caller.sees(asset.assettype_id) && filter.matches(tenant, asset);
    let mut found: Vec<&Asset> = match (params.text("inventory_number"), type_id) {
        ("", Some(type_id)) => tenant.store.of_type(type_id).filter(sees).collect(),
        ("", None) => tenant.store.assets().filter(sees).collect(),
        (tag, type_id) => {
            let of_type = |asset: &&Asset| type_id.is_none_or(|type_id| asset.assettype_id == type_id);
            tenant.store.tagged(tag).filter(of_type).filter(sees).collect()
        }
    };
    order(tenant, params, &mut found, call.settings.unordered_pages.then_some(call.chance))?;
    let found: Vec<(i64, &Asset)> = found.into_iter().map(|asset| (asset.id, asset)).collect();
    let body = window.answer("assets", found, |(id, asset)| {
        if id_only { json!({ "id": id }) } else { Value::Object(render::row(tenant, asset, view, &custom)) }
    });
    Ok(Reply::json(200, body))
}

/// What a list is narrowed to.
struct Filter {
    active: bool,
    inactive: bool,
    client: Option<i64>,
    site: Option<i64>,
    groups: Option<Vec<i64>>,
    types: Option<Vec<i64>>,
    statuses: Option<Vec<i64>>,
    ids: Option<Vec<i64>>,
    excluded: Vec<i64>,
    linked_to: Option<i64>,
    search: String,
    only_tags: bool,
}

impl Filter {
    fn of(tenant: &Tenant, params: &Params) -> Result<Self, ApiError> {
        let (active, inactive) = (params.flag("includeactive")?, params.flag("includeinactive")?);
        let one = |name: &str, several: &str| Ok::<_, ApiError>(params.int(name)?.map(|id| vec![id]).or_else(|| params.ids(several)));
        let linked_to = params.int("linkedto_id")?.filter(|id| tenant.get(*id).is_some() || *id > 0);
        Ok(Self {
            active: active || !inactive,
            inactive,
            client: params.int("client_id")?,
            site: params.int("site_id")?,
            groups: one("assetgroup_id", "assetgroups")?,
            types: params.ids("assettypes"),
            statuses: params.ids("assetstatuses"),
            ids: params.ids("assets"),
            excluded: params.ids("excludethese").unwrap_or_default(),
            linked_to,
            search: params.text("search").trim().to_lowercase(),
            only_tags: params.flag("search_inventory_number_only")?,
        })
    }

    fn matches(&self, tenant: &Tenant, asset: &Asset) -> bool {
        let among = |wanted: &Option<Vec<i64>>, found: i64| wanted.as_ref().is_none_or(|wanted| wanted.contains(&found));
        let group = || tenant.types.get(&asset.assettype_id).map_or(0, |found| found.group_id);
        let client = || tenant.sites.get(&asset.site_id).map_or(0, |site| site.client_id);
        let linked = |other| tenant.store.around(other).any(|relationship| [relationship.parent, relationship.child].contains(&asset.id));
        (if asset.inactive { self.inactive } else { self.active })
            && self.client.is_none_or(|wanted| wanted == client())
            && self.site.is_none_or(|wanted| wanted == asset.site_id)
            && (self.groups.is_none() || among(&self.groups, group()))
            && among(&self.types, asset.assettype_id)
            && among(&self.statuses, asset.status_id)
            && among(&self.ids, asset.id)
            && !self.excluded.contains(&asset.id)
            && self.linked_to.is_none_or(|other| other != asset.id && linked(other))
            && (self.search.is_empty() || self.is_found(tenant, asset))
    }

    /// Whether the tag or a key field holds the text.
    fn is_found(&self, tenant: &Tenant, asset: &Asset) -> bool {
        let holds = |text: &str| text.to_lowercase().contains(&self.search);
        let asset_type = tenant.types.get(&asset.assettype_id).filter(|_| !self.only_tags);
        let keys = asset_type.into_iter().flat_map(|found| (1..=3).filter_map(|number| found.key(number)));
        holds(&asset.inventory_number) || keys.filter_map(|key| asset.values.get(&key.field_id)).any(|value| holds(value))
    }
}

/// Puts rows into the order that is asked for. What it leaves open is drawn by chance.
fn order(tenant: &Tenant, params: &Params, rows: &mut [&Asset], chance: Option<u64>) -> Result<(), ApiError> {
    // Ids are no secret order here: they are hashed with the call's number.
    let shuffled = |asset: &Asset| chance.map_or(0, |chance| mix(chance ^ mix(asset.id.unsigned_abs())));
    let key = params.text("order").to_ascii_lowercase();
    let descending = params.flag("orderdesc")?;
    if key == "id" {
        rows.sort_by_key(|asset| asset.id);
        if descending {
            rows.reverse();
        }
        return Ok(());
    }
    let by_key = |left: &Asset, right: &Asset| -> Ordering {
        match key.as_str() {
            "inventory_number" => left.inventory_number.cmp(&right.inventory_number),
            "dlastupdate" | "last_modified" => left.updated.cmp(&right.updated),
            "key_field" | "key_field2" | "key_field3" => {
                let number = key.strip_prefix("key_field").and_then(|text| text.parse().ok()).unwrap_or(1);
                key_value(tenant, left, number).cmp(key_value(tenant, right, number))
            }
            "site_id" | "site_name" => left.site_id.cmp(&right.site_id),
            "assettype_id" | "assettype_name" => left.assettype_id.cmp(&right.assettype_id),
            "status_id" | "status_name" => left.status_id.cmp(&right.status_id),
            _ => Ordering::Equal,
        }
    };
    rows.sort_by_cached_key(|asset| shuffled(asset));
    rows.sort_by(|left, right| if descending { by_key(right, left) } else { by_key(left, right) });
    Ok(())
}

fn key_value<'a>(tenant: &Tenant, asset: &'a Asset, number: u8) -> &'a str {
    let field = tenant.types.get(&asset.assettype_id).and_then(|found| found.key(number));
    field.and_then(|field| asset.values.get(&field.field_id)).map_or("", String::as_str)
}

/// The asset of this id, if the caller sees it.
pub(crate) fn visible<'a>(call: &'a Call<'_>, id: i64) -> Option<&'a Asset> {
    call.tenant.get(id).filter(|asset| call.caller.sees(asset.assettype_id))
}

/// Answers `GET /api/Asset/{id}`.
pub(crate) fn get(call: &Call<'_>, id: i64) -> Result<Reply, ApiError> {
    let tenant = &*call.tenant;
    let asset = visible(call, id).ok_or_else(ApiError::missing)?;
    let details = call.params.flag("includedetails")?;
    let mut body = render::single(tenant, asset, details);
    if call.params.flag("includeallowedstatus")? {
        body.insert("allowed_status".to_owned(), render::allowed(tenant, asset.assettype_id));
    }
    if details {
        let of = |is_sibling: bool, up: bool, down: bool| -> Value {
            let above = tenant.store.above(id).filter(|_| up).map(|found| (found.parent, found));
            let below = tenant.store.below(id).filter(|_| down).map(|found| (found.child, found));
            let ends = above.chain(below).filter(|(_, found)| found.is_sibling == is_sibling);
            ends.filter_map(|(other, found)| render::related(tenant, other, found)).collect()
        };
        body.insert("parent_assets".to_owned(), of(false, true, false));
        body.insert("child_assets".to_owned(), of(false, false, true));
        body.insert("sibling_assets".to_owned(), of(true, true, true));
    }
    Ok(Reply::json(200, Value::Object(body)))
}

/// Answers `DELETE /api/Asset/{id}`.
pub(crate) fn delete(call: &mut Call<'_>, id: i64) -> Result<Reply, ApiError> {
    let found = visible(call, id).map(|asset| asset.id).ok_or_else(ApiError::missing)?;
    let removed = call.tenant.store.remove(found);
    call.notes.ids.push(found);
    let body = removed.map_or(Body::Empty, |asset| Body::Json(Value::Object(render::single(call.tenant, &asset, false))));
    Ok(Reply { status: 200, body, ..Reply::default() })
}

/// Answers `GET /api/Asset/NextTag`.
pub(crate) fn next_tag(call: &Call<'_>) -> Reply {
    let last = call.tenant.store.last_tag();
    Reply::json(200, json!({"last_tag": last.to_string(), "next_tag": last.saturating_add(1).to_string()}))
}

/// Answers `GET /api/AssetChange`.
pub(crate) fn changes(call: &Call<'_>) -> Result<Reply, ApiError> {
    let tenant = &*call.tenant;
    let window = Window::of(call.params, call.settings)?;
    let sees = |id: i64| visible(call, id).is_some();
    let rows: Vec<(i64, &Change)> = match call.params.int("asset_id")? {
        Some(id) => tenant.store.changes_of(id).rev().filter(|change| sees(change.asset_id)).map(|change| (change.id, change)).collect(),
        None => tenant.store.changes().iter().rev().filter(|change| sees(change.asset_id)).map(|change| (change.id, change)).collect(),
    };
    let body = window.answer("changehistory", rows, |(id, change)| {
        json!({
            "id": id, "asset_id": change.asset_id, "asset_site": change.site_id, "asset_number": change.asset_id, "field_id": change.field_id,
            "field_name": change.field_name, "old_value": change.old_value, "new_value": change.new_value, "who": change.who,
            "datetime": clock::written(change.at), "software_id": 0, "software_user_id": 0, "old_site": 0, "new_site": 0, "customfield_id": 0,
            "item_id": 0,
        })
    });
    Ok(Reply::json(200, body))
}
