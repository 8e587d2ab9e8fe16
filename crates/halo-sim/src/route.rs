//! Which interface a path names.

/// What is served below `/api`, beside `authinfo`, `InstanceInfo` and `swagger`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entity {
    Asset,
    AssetChange,
    AssetType,
    AssetGroup,
    Field,
    FieldInfo,
    Status,
    Lookup,
    Client,
    Site,
    Users,
    Agent,
    Team,
}

impl Entity {
    const ALL: [(&'static str, &'static str, Self); 13] = [
        ("asset", "asset", Self::Asset),
        ("assetchange", "asset_change", Self::AssetChange),
        ("assettype", "asset_type", Self::AssetType),
        ("assetgroup", "asset_group", Self::AssetGroup),
        ("field", "field", Self::Field),
        ("fieldinfo", "field_info", Self::FieldInfo),
        ("status", "status", Self::Status),
        ("lookup", "lookup", Self::Lookup),
        ("client", "client", Self::Client),
        ("site", "site", Self::Site),
        ("users", "users", Self::Users),
        ("agent", "agent", Self::Agent),
        ("team", "team", Self::Team),
    ];

    fn of(segment: &str) -> Option<Self> {
        Self::ALL.iter().find(|(path, ..)| *path == segment).map(|(.., entity)| *entity)
    }

    /// Its name in operations.
    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(.., entity)| *entity == self).map_or("", |(_, name, _)| name)
    }
}

/// What a path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Token,
    AuthInfo,
    InstanceInfo,
    Swagger,
    NextTag,
    AgentMe,
    Many(Entity),
    /// The id as it was sent: it need not be one.
    One(Entity, String),
    /// Below `/api`, and nothing that is served.
    Unknown,
    /// Not even that.
    Elsewhere,
}

impl Route {
    /// Paths are taken without regard to case.
    pub(crate) fn of(path: &str) -> Self {
        let path = path.trim_matches('/').to_ascii_lowercase();
        let segments: Vec<&str> = path.split('/').collect();
        match segments.as_slice() {
            ["auth", "token"] => Self::Token,
            ["api", "authinfo"] => Self::AuthInfo,
            ["api", "instanceinfo"] => Self::InstanceInfo,
            ["api", "swagger"] | ["api", "swagger", "v2", "swagger.json"] => Self::Swagger,
            ["api", "asset", "nexttag"] => Self::NextTag,
            ["api", "agent", "me"] => Self::AgentMe,
            ["api", entity] => Entity::of(entity).map_or(Self::Unknown, Self::Many),
            ["api", entity, id] => Entity::of(entity).map_or(Self::Unknown, |entity| Self::One(entity, (*id).to_owned())),
            ["api", ..] => Self::Unknown,
            _ => Self::Elsewhere,
        }
    }

    /// What a call is named in the log and in faults.
    pub(crate) fn operation(&self, method: &str) -> String {
        match self {
            Self::Token => "token".to_owned(),
            Self::AuthInfo => "authinfo".to_owned(),
            Self::InstanceInfo => "instance_info".to_owned(),
            Self::Swagger => "swagger".to_owned(),
            Self::NextTag => "asset_next_tag".to_owned(),
            Self::AgentMe => "agent_me".to_owned(),
            Self::Many(entity) | Self::One(entity, _) => {
                let verb = match (self, method) {
                    (Self::Many(_), "GET") => "list",
                    (Self::One(..), "GET") => "get",
                    (Self::Many(_), "POST") => "post",
                    (Self::One(..), "DELETE") => "delete",
                    _ => return "unknown".to_owned(),
                };
                format!("{}_{verb}", entity.name())
            }
            Self::Unknown | Self::Elsewhere => "unknown".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_have_names() {
        let cases = [
            ("POST", "/auth/token", "token"),
            ("GET", "/api/ASSET", "asset_list"),
            ("GET", "/API/asset/5", "asset_get"),
            ("POST", "/api/Asset", "asset_post"),
            ("DELETE", "/api/Asset/5", "asset_delete"),
            ("GET", "/api/Asset/NextTag", "asset_next_tag"),
            ("POST", "/api/AssetType", "asset_type_post"),
            ("GET", "/api/swagger/v2/swagger.json", "swagger"),
            ("PUT", "/api/Asset", "unknown"),
            ("POST", "/api/Asset/5", "unknown"),
            ("GET", "/api/Tickets", "unknown"),
            ("GET", "/", "unknown"),
        ];
        for (method, path, operation) in cases {
            assert_eq!(Route::of(path).operation(method), operation, "{method} {path}");
        }
    }
}
