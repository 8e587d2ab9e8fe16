//! Which operation a request names.

use crate::{
    call::Call,
    config, import, jira, objects,
    reply::{ApiError, Reply},
    schemas,
    site::{Deployment, Site},
};

/// Under which address a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    /// `/jsm/assets/workspace/{id}/v1`, at the site's gateway too.
    Api,
    /// `/ex/jira/{cloudId}/jsm/assets/workspace/{id}/v1`.
    Ex,
    /// The site's own interfaces.
    Jira,
    /// The same below `/ex/jira/{cloudId}`.
    ExJira,
    /// `/oauth/token/accessible-resources`.
    Resources,
    /// `/jsm/assets/v1/imports`.
    Imports,
    /// `/rest/assets/1.0`.
    DataCenter,
}

impl Base {
    /// Whether it is for OAuth 2.0 and tokens with scopes.
    pub(crate) fn is_ex(self) -> bool {
        matches!(self, Self::Ex | Self::ExJira | Self::Resources)
    }

    fn surface(self) -> Surface {
        match self {
            Self::Api | Self::Ex | Self::DataCenter => Surface::Assets,
            Self::Jira | Self::ExJira | Self::Resources => Surface::Jira,
            Self::Imports => Surface::Imports,
        }
    }
}

/// What interface a path belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Surface {
    Assets,
    Jira,
    Imports,
}

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// To an interface, and the rest of the path.
    At(Base, &'a str),
    /// To a workspace or a site that is not this one.
    Elsewhere,
    /// `POST /oauth/token`.
    Token,
    /// `GET /_edge/tenant_info`.
    Tenant,
    Nowhere,
}

impl<'a> Place<'a> {
    pub(crate) fn of(site: &Site, path: &'a str) -> Self {
        let path = path.trim_start_matches('/');
        if site.deployment == Deployment::DataCenter {
            return match path.strip_prefix("rest/assets/1.0/") {
                Some(rest) => Self::At(Base::DataCenter, rest),
                None => Self::At(Base::Jira, path),
            };
        }
        match path {
            "oauth/token" => return Self::Token,
            "_edge/tenant_info" => return Self::Tenant,
            "oauth/token/accessible-resources" => return Self::At(Base::Resources, path),
            _ => {}
        }
        if let Some(rest) = path.strip_prefix("ex/jira/") {
            let (cloud, rest) = rest.split_once('/').unwrap_or((rest, ""));
            return match (cloud == site.cloud_id, rest.strip_prefix("jsm/assets/workspace/")) {
                (false, _) => Self::Elsewhere,
                (true, Some(rest)) => Self::in_workspace(site, Base::Ex, rest),
                (true, None) => Self::At(Base::ExJira, rest),
            };
        }
        if let Some(rest) = path.strip_prefix("jsm/assets/v1/imports/") {
            return Self::At(Base::Imports, rest);
        }
        let gateway = path.strip_prefix("gateway/api/").unwrap_or(path);
        match gateway.strip_prefix("jsm/assets/workspace/") {
            Some(rest) => Self::in_workspace(site, Base::Api, rest),
            None if path.starts_with("rest/") => Self::At(Base::Jira, path),
            None => Self::Nowhere,
        }
    }

    fn in_workspace(site: &Site, base: Base, rest: &'a str) -> Self {
        let (workspace, rest) = rest.split_once('/').unwrap_or((rest, ""));
        match rest.strip_prefix("v1/") {
            _ if workspace != site.workspace_id => Self::Elsewhere,
            Some(rest) => Self::At(base, rest),
            None => Self::Nowhere,
        }
    }
}

/// What answers.
pub(crate) type Handler = fn(&mut Call<'_>, &[&str]) -> Result<Reply, ApiError>;

/// Where an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum On {
    Both,
    Cloud,
    DataCenter,
}

/// An operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    surface: Surface,
    on: On,
    method: &'static str,
    pattern: &'static str,
    /// As the log and the limits know it.
    pub(crate) operation: &'static str,
    /// What a token with scopes needs.
    pub(crate) scope: &'static str,
    pub(crate) handler: Handler,
    /// Needs the header `X-ExperimentalApi`, on Data Center.
    pub(crate) is_experimental: bool,
    /// Nobody has to log in.
    pub(crate) is_open: bool,
}

impl Route {
    /// Whether it is one of the import sources', for which these have tokens.
    pub(crate) fn is_import(&self) -> bool {
        self.operation.starts_with("import_")
    }

    /// Whether it is asked in AQL.
    pub(crate) fn is_search(&self) -> bool {
        matches!(self.operation, "aql" | "aql_count" | "aql_objects" | "navlist")
    }

    pub(crate) fn is_assets(&self) -> bool {
        self.surface != Surface::Jira
    }
}

const fn assets(method: &'static str, pattern: &'static str, operation: &'static str, scope: &'static str, handler: Handler) -> Route {
    Route { surface: Surface::Assets, on: On::Both, method, pattern, operation, scope, handler, is_experimental: false, is_open: false }
}

const fn cloud(method: &'static str, pattern: &'static str, operation: &'static str, handler: Handler) -> Route {
    Route { on: On::Cloud, ..assets(method, pattern, operation, "import:import-configuration:cmdb", handler) }
}

const fn jira(on: On, pattern: &'static str, operation: &'static str, scope: &'static str, handler: Handler) -> Route {
    Route { surface: Surface::Jira, on, method: "GET", pattern, operation, scope, handler, is_experimental: false, is_open: false }
}

const OBJECT: [&str; 3] = ["read:cmdb-object:jira", "write:cmdb-object:jira", "delete:cmdb-object:jira"];
const SCHEMA: [&str; 3] = ["read:cmdb-schema:jira", "write:cmdb-schema:jira", "delete:cmdb-schema:jira"];
const TYPE: [&str; 3] = ["read:cmdb-type:jira", "write:cmdb-type:jira", "delete:cmdb-type:jira"];
const ATTRIBUTE: [&str; 3] = ["read:cmdb-attribute:jira", "write:cmdb-attribute:jira", "delete:cmdb-attribute:jira"];

/// All operations. Of two that fit the first stands.
static ROUTES: &[Route] = &[
    assets("POST", "object/create", "object_create", OBJECT[1], objects::create),
    Route { on: On::Cloud, ..assets("POST", "object/aql", "aql", OBJECT[0], objects::aql) },
    Route { on: On::Cloud, ..assets("POST", "object/aql/totalcount", "aql_count", OBJECT[0], objects::aql_count) },
    assets("POST", "object/navlist/aql", "navlist", OBJECT[0], objects::navlist),
    assets("POST", "object/navlist/iql", "navlist", OBJECT[0], objects::navlist),
    assets("GET", "aql/objects", "aql_objects", OBJECT[0], objects::aql_objects),
    assets("GET", "iql/objects", "aql_objects", OBJECT[0], objects::aql_objects),
    Route {
        on: On::DataCenter,
        is_experimental: true,
        ..assets("PUT", "object/archive/{}", "object_archive", OBJECT[1], objects::archive)
    },
    Route {
        on: On::DataCenter,
        is_experimental: true,
        ..assets("PUT", "object/restore/{}", "object_restore", OBJECT[1], objects::restore)
    },
    assets("GET", "object/{}", "object_get", OBJECT[0], objects::get),
    assets("PUT", "object/{}", "object_update", OBJECT[1], objects::update),
    assets("DELETE", "object/{}", "object_delete", OBJECT[2], objects::delete),
    assets("GET", "object/{}/attributes", "object_attributes", OBJECT[0], objects::attributes),
    assets("GET", "object/{}/history", "object_history", OBJECT[0], objects::history),
    assets("GET", "object/{}/referenceinfo", "object_references", OBJECT[0], objects::reference_info),
    assets("GET", "objectconnectedtickets/{}/tickets", "object_tickets", OBJECT[0], objects::tickets),
    assets("GET", "objectschema/list", "schema_list", SCHEMA[0], schemas::schema_list),
    assets("POST", "objectschema/create", "schema_create", SCHEMA[1], schemas::schema_create),
    assets("GET", "objectschema/{}", "schema_get", SCHEMA[0], schemas::schema_get),
    assets("PUT", "objectschema/{}", "schema_update", SCHEMA[1], schemas::schema_update),
    assets("DELETE", "objectschema/{}", "schema_delete", SCHEMA[2], schemas::schema_delete),
    assets("GET", "objectschema/{}/attributes", "schema_attributes", ATTRIBUTE[0], schemas::schema_attributes),
    assets("GET", "objectschema/{}/objecttypes", "schema_types", TYPE[0], schemas::schema_types),
    assets("GET", "objectschema/{}/objecttypes/flat", "schema_types_flat", TYPE[0], schemas::schema_types_flat),
    assets("POST", "global/config/objectschema/{}/property", "schema_property", SCHEMA[1], schemas::schema_property),
    assets("POST", "objecttype/create", "type_create", TYPE[1], schemas::type_create),
    assets("GET", "objecttype/{}", "type_get", TYPE[0], schemas::type_get),
    assets("PUT", "objecttype/{}", "type_update", TYPE[1], schemas::type_update),
    assets("DELETE", "objecttype/{}", "type_delete", TYPE[2], schemas::type_delete),
    assets("POST", "objecttype/{}/position", "type_position", TYPE[1], schemas::type_position),
    assets("GET", "objecttype/{}/attributes", "type_attributes", ATTRIBUTE[0], schemas::type_attributes),
    assets("POST", "objecttypeattribute/{}", "attribute_create", ATTRIBUTE[1], schemas::attribute_create),
    assets("PUT", "objecttypeattribute/{}/{}", "attribute_update", ATTRIBUTE[1], schemas::attribute_update),
    assets("DELETE", "objecttypeattribute/{}", "attribute_delete", ATTRIBUTE[2], schemas::attribute_delete),
    assets("GET", "config/statustype", "status_list", SCHEMA[0], config::status_list),
    assets("POST", "config/statustype", "status_create", SCHEMA[1], config::status_create),
    assets("GET", "config/statustype/{}", "status_get", SCHEMA[0], config::status_get),
    assets("PUT", "config/statustype/{}", "status_update", SCHEMA[1], config::status_update),
    assets("DELETE", "config/statustype/{}", "status_delete", SCHEMA[2], config::status_delete),
    assets("GET", "config/referencetype", "reference_type_list", SCHEMA[0], config::reference_type_list),
    assets("POST", "config/referencetype", "reference_type_create", SCHEMA[1], config::reference_type_create),
    assets("GET", "config/referencetype/{}", "reference_type_get", SCHEMA[0], config::reference_type_get),
    assets("DELETE", "config/referencetype/{}", "reference_type_delete", SCHEMA[2], config::reference_type_delete),
    assets("GET", "icon/global", "icon_list", TYPE[0], config::icon_list),
    assets("GET", "icon/{}", "icon_get", TYPE[0], config::icon_get),
    Route { on: On::Cloud, ..assets("GET", "usage", "usage", SCHEMA[0], config::usage) },
    Route { surface: Surface::Imports, ..cloud("GET", "info", "import_info", import::info) },
    cloud("GET", "importsource/{}", "import_get", import::get),
    cloud("PUT", "importsource/{}/mapping", "import_mapping", import::mapping_put),
    cloud("PATCH", "importsource/{}/mapping", "import_mapping", import::mapping_patch),
    cloud("GET", "importsource/{}/mapping/progress/{}", "import_mapping_progress", import::mapping_progress),
    cloud("GET", "importsource/{}/configstatus", "import_config_status", import::config_status),
    cloud("GET", "importsource/{}/schema-and-mapping", "import_mapping_get", import::mapping_get),
    cloud("POST", "importsource/{}/token", "import_token", import::token),
    cloud("POST", "importsource/{}/executions", "import_start", import::start),
    cloud("GET", "importsource/{}/executions/status", "import_status", import::status_latest),
    cloud("DELETE", "importsource/{}/executions/{}", "import_cancel", import::cancel),
    cloud("POST", "importsource/{}/executions/{}/data", "import_submit", import::data),
    cloud("PUT", "importsource/{}/executions/{}/progress", "import_progress", import::progress),
    cloud("GET", "importsource/{}/executions/{}/status", "import_status", import::status),
    cloud("GET", "importsource/{}/executions/{}/history/failed", "import_failures", import::failures),
    jira(On::Cloud, "rest/servicedeskapi/assets/workspace", "workspace_list", "read:servicedesk-request", jira::workspace_list),
    jira(On::Cloud, "rest/servicedeskapi/insight/workspace", "workspace_list", "read:servicedesk-request", jira::workspace_list_old),
    jira(On::Cloud, "oauth/token/accessible-resources", "accessible_resources", "", jira::accessible_resources),
    Route { is_open: true, ..jira(On::Cloud, "rest/api/3/serverInfo", "server_info", "read:jira-work", jira::server_info) },
    jira(On::Cloud, "rest/api/3/myself", "myself", "read:jira-user", jira::myself),
    jira(On::Cloud, "rest/api/3/user/search", "user_search", "read:jira-user", jira::user_search),
    jira(On::Cloud, "rest/api/3/groups/picker", "group_picker", "read:jira-user", jira::group_picker),
    Route { is_open: true, ..jira(On::DataCenter, "rest/api/2/serverInfo", "server_info", "", jira::server_info) },
    jira(On::DataCenter, "rest/api/2/myself", "myself", "", jira::myself),
    jira(On::DataCenter, "rest/api/2/user/search", "user_search", "", jira::user_search),
    jira(On::DataCenter, "rest/api/2/groups/picker", "group_picker", "", jira::group_picker),
];

/// The operation that a path names, and what stands in its gaps; 404 or 405 where there is none.
pub(crate) fn find<'a>(site: &Site, base: Base, rest: &'a str, method: &str) -> Result<(&'static Route, Vec<&'a str>), ApiError> {
    let segments: Vec<&str> = rest.trim_end_matches('/').split('/').collect();
    let is_here = |route: &&Route| match route.on {
        On::Both => true,
        On::Cloud => site.is_cloud(),
        On::DataCenter => !site.is_cloud(),
    };
    let mut has_path = false;
    for route in ROUTES.iter().filter(|route| route.surface == base.surface()).filter(is_here) {
        let Some(gaps) = fit(route.pattern, &segments) else { continue };
        if route.method == method {
            return Ok((route, gaps));
        }
        has_path = true;
    }
    if has_path { Err(ApiError::new(405, "Method Not Allowed")) } else { Err(ApiError::not_found("There is no such resource")) }
}

fn fit<'a>(pattern: &str, segments: &[&'a str]) -> Option<Vec<&'a str>> {
    let mut gaps = Vec::new();
    let mut parts = pattern.split('/');
    for segment in segments {
        match parts.next()? {
            "{}" if !segment.is_empty() => gaps.push(*segment),
            part if part == *segment => {}
            _ => return None,
        }
    }
    parts.next().is_none().then_some(gaps)
}
