//! What a tenant says of itself: where to log in, its version, its interfaces.

use serde_json::{Map, Value, json};

use crate::{clock, properties, reply::Reply, tenant::Tenant};

/// Answers `GET /api/authinfo`.
pub(crate) fn auth_info(tenant: &Tenant, base_url: &str) -> Reply {
    Reply::json(200, json!({"auth_url": format!("{base_url}/auth"), "tenant_id": tenant.name}))
}

/// Answers `GET /api/InstanceInfo`.
pub(crate) fn instance_info(tenant: &Tenant, base_url: &str) -> Reply {
    let database: String = tenant.version.app.split('.').take(2).collect();
    let body = json!({
        "dbid": "c0ffee00-0000-4000-8000-000000000001", "app_version": tenant.version.app, "database_version": database, "app_name": "Halo ITSM",
        "agent_url": base_url, "portal_url": format!("{base_url}/portal/"), "auth_url": format!("{base_url}/auth"), "tenant_id": tenant.name,
        "agent_count": 0, "licensed_agent_count": 0, "online_agent_count": 0, "last_login": clock::written(tenant.now), "mobileapp_enabled": true,
        "teamsbot_enabled": false,
    });
    Reply::json(200, body)
}

/// Path, whether it is written to, the schema, and the parameters of its list.
const PATHS: [(&str, bool, &str, &str); 13] = [
    ("/Agent", false, "Uname_List", "search includedisabled includeapiagents showall"),
    (
        "/Asset",
        true,
        "Device",
        "pageinate page_size page_no count order orderdesc search search_inventory_number_only inventory_number client_id site_id assetgroup_id \
         assetgroups assettype_id assettypes assetstatuses assets excludethese linkedto_id includeinactive includeactive includeassetfields \
         includeallowedstatus include_custom_fields idonly noicon",
    ),
    ("/AssetChange", false, "DeviceChange", "asset_id pageinate page_size page_no count"),
    ("/AssetGroup", true, "Generic", "type includetypesforgroups"),
    ("/AssetType", true, "Xtype", "assetgroup_id type"),
    ("/Client", true, "Area", "pageinate page_size page_no count search includeinactive includeactive"),
    ("/Field", true, "Field", "kind"),
    ("/FieldInfo", true, "FieldInfo", "typeid"),
    ("/Lookup", true, "Lookup", "lookupid"),
    ("/Site", true, "Site_List", "pageinate page_size page_no count search client_id includeinactive includeactive"),
    ("/Status", true, "TStatus", "type"),
    ("/Team", false, "SectionDetail_List", "includedisabled showall"),
    ("/Users", false, "Users_List", "pageinate page_size page_no count search site_id includeinactive includeactive"),
];

/// Answers `GET /api/swagger`: what this tenant's version knows.
pub(crate) fn swagger(tenant: &Tenant) -> Reply {
    let ok = || json!({"200": {"description": "OK"}});
    let mut paths = Map::new();
    for (path, is_written, schema, parameters) in PATHS {
        let parameters: Vec<Value> =
            parameters.split_whitespace().map(|name| json!({"name": name, "in": "query", "schema": {"type": "string"}})).collect();
        let mut many = json!({"get": {"parameters": parameters, "responses": ok()}});
        let id = json!([{"name": "id", "in": "path", "required": true, "schema": {"type": "integer", "format": "int32"}}]);
        let mut one = json!({"get": {"parameters": id.clone(), "responses": ok()}});
        if let (true, Some(many), Some(one)) = (is_written, many.as_object_mut(), one.as_object_mut()) {
            let list = json!({"type": "array", "items": {"$ref": format!("#/components/schemas/{schema}")}});
            many.insert("post".to_owned(), json!({"requestBody": {"content": {"application/json": {"schema": list}}}, "responses": ok()}));
            one.insert("delete".to_owned(), json!({"parameters": id, "responses": ok()}));
        }
        paths.insert(path.to_owned(), many);
        if path != "/AssetChange" {
            paths.insert(format!("{path}/{{id}}"), one);
        }
    }
    let body = json!({
        "openapi": "3.0.1", "info": {"title": "Halo API", "version": "v2"}, "servers": [{"url": "/api"}], "paths": paths,
        "components": {"schemas": properties::described(tenant.version.is_recent())},
    });
    Reply::json(200, body)
}
