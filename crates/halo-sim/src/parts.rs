//! What a tenant is made of, beside its assets. Plain data.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

/// A client's secret. It does not show in debug output.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret(String);

impl Secret {
    /// Wraps the text.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub(crate) fn is(&self, text: &str) -> bool {
        self.0 == text
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

/// An application of the kind "Client ID and Secret (Services)".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// `client_id`.
    pub client_id: String,
    /// `client_secret`.
    pub secret: Secret,
    /// The scopes on its tab "Permissions". A token for `all` has no more than these.
    pub scopes: Vec<String>,
    /// The agent it logs in as; without one it has the application's own identity.
    pub agent_id: Option<i64>,
    /// It may change configuration: asset types, fields, groups, statuses.
    pub administrator: bool,
    /// It may change assets.
    pub edits_assets: bool,
    /// It may delete assets.
    pub deletes_assets: bool,
    /// The asset types it sees, with their assets; all when missing.
    pub asset_types: Option<BTreeSet<i64>>,
    /// How long its tokens live.
    pub token_life_s: u64,
}

impl Application {
    /// One that may do everything, with the secret `CLIENT_ID-secret`.
    pub fn new(client_id: &str) -> Self {
        Self {
            client_id: client_id.to_owned(),
            secret: Secret(format!("{client_id}-secret")),
            scopes: vec!["all".to_owned()],
            agent_id: None,
            administrator: true,
            edits_assets: true,
            deletes_assets: true,
            asset_types: None,
            token_life_s: 3600,
        }
    }
}

/// A client, in HaloITSM mostly the one there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Its name.
    pub name: String,
    /// It was retired.
    #[serde(default)]
    pub inactive: bool,
}

/// A site. Each asset is at one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Its name.
    pub name: String,
    /// Its client.
    pub client_id: i64,
    /// It was retired.
    #[serde(default)]
    pub inactive: bool,
}

/// A group of asset types.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetGroup {
    /// Its name.
    pub name: String,
    /// "Use for Assets".
    pub for_assets: bool,
}

/// A field on an asset type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeField {
    /// Its row; `keyfield_id` of a type names this, not the field.
    pub id: i64,
    /// The field.
    pub field_id: i64,
    /// It is the key field of this number, 1 to 3.
    #[serde(default)]
    pub key: Option<u8>,
}

/// An asset type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetType {
    /// Its name.
    pub name: String,
    /// Its group.
    pub group_id: i64,
    /// Its fields, in their order.
    pub fields: Vec<TypeField>,
    /// The statuses its assets can have; all when missing.
    #[serde(default)]
    pub statuses: Option<BTreeSet<i64>>,
    /// What generated tags begin with.
    #[serde(default)]
    pub tag_prefix: String,
    /// `show_to_users`.
    #[serde(default)]
    pub show_to_users: bool,
}

impl AssetType {
    pub(crate) fn has(&self, field_id: i64) -> bool {
        self.fields.iter().any(|field| field.field_id == field_id)
    }

    /// The field that is the key field of this number.
    pub(crate) fn key(&self, number: u8) -> Option<&TypeField> {
        self.fields.iter().find(|field| field.key == Some(number))
    }
}

/// Who may be above whom. Types that no restriction names are free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restriction {
    /// The parent's type; 0 for any.
    pub upstream_type: i64,
    /// The child's type; 0 for any.
    pub downstream_type: i64,
    /// The relationship; 0 for any.
    pub relationship_id: i64,
}

/// An asset field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// `T` for assets.
    pub kind: String,
    /// `X` text, `D` date, `C` currency.
    pub validate: String,
    /// The lookup that has its values; 0 without one.
    #[serde(default)]
    pub lookup: i64,
    /// It has to be filled.
    #[serde(default)]
    pub mandatory: bool,
}

impl Field {
    /// A field for free text.
    pub fn text(name: &str) -> Self {
        Self { name: name.to_owned(), kind: "T".to_owned(), validate: "X".to_owned(), lookup: 0, mandatory: false }
    }
}

/// A custom field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomField {
    /// `CF…`.
    pub name: String,
    /// What people see.
    pub label: String,
    /// What has it: 5 for assets.
    pub type_id: i64,
}

/// A status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its name.
    pub name: String,
}

/// The codes of a lookup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup {
    /// Its name, as lookup 11 lists it.
    pub name: String,
    /// Its codes: id and name.
    pub codes: Vec<(i64, String)>,
}

/// An agent: who works in the product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
    /// The team.
    pub team: String,
    /// The account was disabled.
    #[serde(default)]
    pub disabled: bool,
    /// An "API-only agent".
    #[serde(default)]
    pub is_api: bool,
}

/// A team of agents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Team {
    /// Its name.
    pub name: String,
    /// It was retired.
    #[serde(default)]
    pub inactive: bool,
}

/// A user: who the product works for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
    /// The site.
    pub site_id: i64,
    /// The account was retired.
    #[serde(default)]
    pub inactive: bool,
}

/// What the tenant's version makes of relationships that are posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelationshipWrites {
    /// `add_child_assets` and its like, as of 2026.
    Lists,
    /// An older version: `child_assets` and `parent_assets` replace all there are, and the lists of 2026 are ignored.
    Replace,
    /// An older version that ignores both.
    Ignored,
}

/// The tenant's version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// `app_version`.
    pub app: String,
    /// What it makes of relationships.
    pub relationships: RelationshipWrites,
}

impl Version {
    /// Whether it knows the schemas of 2026.
    pub(crate) fn is_recent(&self) -> bool {
        self.relationships == RelationshipWrites::Lists
    }
}
