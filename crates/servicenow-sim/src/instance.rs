//! An instance: its shape, its records, its users and its rules. Plain data, so that it can be copied as instances are cloned.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    clock,
    hash::{base_sys_id, sys_id},
    query::Query,
    schema::{Schema, base_data},
    store::{Row, Store},
};

/// A password, a secret or a key. It does not show in debug output.
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

/// Somebody who can log in. The same person stands in `sys_user`; whether active or locked out is judged there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The name to log in with.
    pub user_name: String,
    /// The password.
    pub password: Secret,
    /// `itil`, `asset`, `admin`, …
    pub roles: Vec<String>,
    /// Has a second factor: basic authentication is refused.
    #[serde(default)]
    pub mfa: bool,
    /// An interactive user on an instance that lets only service accounts in with basic authentication.
    #[serde(default)]
    pub basic_refused: bool,
}

/// An OAuth entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OauthClient {
    /// `client_id`.
    pub id: String,
    /// `client_secret`.
    pub secret: Secret,
    /// "OAuth Application User": whom the client-credentials grant acts as.
    #[serde(default)]
    pub application_user: Option<String>,
    /// Life of an access token.
    pub access_life_s: i64,
    /// Life of a refresh token.
    pub refresh_life_s: i64,
}

/// A REST API key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// What is sent in `x-sn-apikey`.
    pub key: Secret,
    /// Whom it acts as.
    pub user_name: String,
    /// When it ends.
    #[serde(default)]
    pub expires: Option<Timestamp>,
    /// The interfaces that a REST API access policy opens to it (see [`CallRecord::api`](crate::CallRecord::api)); none without a policy, `*` for all.
    pub policies: Vec<String>,
    /// Whether it may also come as the query parameter `x-sn-apikey`.
    #[serde(default)]
    pub in_query: bool,
}

/// Which source may write which columns of a class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconciliationRule {
    /// The class, with those that extend it.
    pub class: String,
    /// The columns; all when empty.
    #[serde(default)]
    pub columns: Vec<String>,
    /// Sources by rank, the best first. Others may not write at all.
    pub sources: Vec<String>,
}

/// Hides rows of a table from users without a role. It is judged after the limit, as the product does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowRule {
    /// The table, with those that extend it.
    pub table: String,
    /// The rows that are hidden, as an encoded query.
    pub query: String,
    /// The role that sees them nevertheless.
    pub role: String,
}

/// A number of requests per hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateRule {
    /// The interface (see [`CallRecord::api`](crate::CallRecord::api)); any when missing.
    #[serde(default)]
    pub api: Option<String>,
    /// Only this user. The most telling rule wins: user, then role, then all.
    #[serde(default)]
    pub user: Option<String>,
    /// Only users with this role; of several the lowest limit wins.
    #[serde(default)]
    pub role: Option<String>,
    /// So many requests …
    pub limit: u64,
    /// … in so long; the product knows only 3600.
    pub window_s: i64,
}

/// Everything an instance is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Instance {
    /// Its shape.
    pub schema: Schema,
    pub(crate) store: Store,
    /// System properties.
    pub properties: BTreeMap<String, String>,
    /// Who can log in.
    pub users: Vec<User>,
    /// OAuth entities.
    pub clients: Vec<OauthClient>,
    /// API keys.
    pub api_keys: Vec<ApiKey>,
    /// Which source may write what.
    pub reconciliation: Vec<ReconciliationRule>,
    /// Sources that may update a class but not insert into it: source, class.
    pub insert_bans: Vec<(String, String)>,
    /// Rows that are hidden.
    pub row_rules: Vec<RowRule>,
    /// Limits on requests.
    pub rate_rules: Vec<RateRule>,
    seed: u64,
    records_count: u64,
}

/// The switch for the client-credentials grant; off when missing.
pub const CLIENT_CREDENTIALS: &str = "glide.oauth.inbound.client.credential.grant_type.enabled";
/// The switch against the password grant.
pub const PASSWORD_GRANT_OFF: &str = "glide.oauth.inbound.ropc.grant_type.disabled";
/// Makes an invalid query find nothing, instead of more than was asked for.
pub const INVALID_QUERY_FINDS_NOTHING: &str = "glide.invalid_query.returns_no_rows";
/// Switches identification by `sys_object_source` off.
pub const SKIP_SOURCE_MATCHING: &str = "glide.identification_engine.skip_sys_object_source_matching";
/// Whether the oldest of several matches is taken; true when missing.
pub const SKIP_DUPLICATES: &str = "glide.identification_engine.skip_duplicates";
/// Up to how many matches; 5 when missing.
pub const SKIP_DUPLICATES_THRESHOLD: &str = "glide.identification_engine.skip_duplicates.threshold";
/// How long a payload waits for another that holds the same parents, in seconds; 900 when missing.
pub const MUTEX_EXPIRATION_S: &str = "glide.identification_engine.mutex_expiration_time";

impl Instance {
    /// An instance as delivered, with the store app's classes, and with these users (password is the name and `-password`): `integration` with the role `itil`,
    /// `admin`, and `nobody` without a role. There is an OAuth entity `client-id` with the secret `client-secret`, which acts as `integration`, but the
    /// client-credentials grant is off, and no data source is registered.
    pub fn new() -> Self {
        Self::of(Schema::with_class_models())
    }

    /// The same without the store app.
    pub fn bare() -> Self {
        Self::of(Schema::bare())
    }

    fn of(schema: Schema) -> Self {
        let mut instance = Self {
            schema,
            store: Store::default(),
            properties: BTreeMap::new(),
            users: Vec::new(),
            clients: vec![OauthClient {
                id: "client-id".to_owned(),
                secret: Secret::new("client-secret"),
                application_user: Some("integration".to_owned()),
                access_life_s: 1800,
                refresh_life_s: 100 * 86_400,
            }],
            api_keys: Vec::new(),
            reconciliation: Vec::new(),
            insert_bans: Vec::new(),
            row_rules: Vec::new(),
            rate_rules: Vec::new(),
            seed: 1,
            records_count: 0,
        };
        base_data(|table, key, values| {
            let sys_id = if crate::hash::is_sys_id(key) { key.to_owned() } else { base_sys_id(&format!("{table} {key}")) };
            let row = instance.fresh(table, values, "system", Timestamp::UNIX_EPOCH);
            instance.store.put(sys_id, row);
        });
        instance.add_user("integration", &["itil"]);
        instance.add_user("admin", &["admin"]);
        instance.add_user("nobody", &[]);
        instance
    }

    /// Draws identifiers of new records from another number.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Registers a data source, as an administrator does, in the global scope.
    #[must_use]
    pub fn with_data_source(mut self, name: &str) -> Self {
        self.add_data_source(name);
        self
    }

    /// Switches the client-credentials grant on.
    #[must_use]
    pub fn with_client_credentials(mut self) -> Self {
        self.properties.insert(CLIENT_CREDENTIALS.to_owned(), "true".to_owned());
        self
    }

    /// Registers a data source.
    pub fn add_data_source(&mut self, name: &str) {
        let values = [("name", "cmdb_ci"), ("element", "discovery_source"), ("value", name), ("label", name)];
        self.insert("sys_choice", &values);
    }

    /// Takes a data source away.
    pub fn remove_data_source(&mut self, name: &str) {
        for (sys_id, _) in self.find("sys_choice", &format!("name=cmdb_ci^element=discovery_source^value={name}")) {
            self.delete(&sys_id);
        }
    }

    /// Makes a user with the password `NAME-password`, in `sys_user` too.
    pub fn add_user(&mut self, user_name: &str, roles: &[&str]) -> String {
        self.users.push(User {
            user_name: user_name.to_owned(),
            password: Secret(format!("{user_name}-password")),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            mfa: false,
            basic_refused: false,
        });
        let name = crate::schema::label(user_name);
        self.insert("sys_user", &[("user_name", user_name), ("name", &name), ("email", &format!("{user_name}@example.com"))])
    }

    /// Puts a record in as it is, past all rules, and gives its `sys_id`. Its times are those of 1970: somebody else's record, and an old one.
    pub fn insert(&mut self, table: &str, values: &[(&str, &str)]) -> String {
        let values = values.iter().map(|(column, value)| ((*column).to_owned(), (*value).to_owned())).collect();
        self.create(table, values, "admin", Timestamp::UNIX_EPOCH)
    }

    /// Changes values of a record, past all rules.
    pub fn update(&mut self, sys_id: &str, values: &[(&str, &str)]) {
        for (column, value) in values {
            self.store.set(sys_id, column, value);
        }
    }

    /// Deletes a record with the relations that end at it. Rows of `sys_object_source` and tags stay, as they do on an instance.
    pub fn delete(&mut self, sys_id: &str) {
        if self.store.remove(sys_id).is_none() {
            return;
        }
        let ends = ["parent", "child"];
        let relations: Vec<String> = ends
            .into_iter()
            .flat_map(|end| self.store.having(end, sys_id))
            .filter(|(_, row)| row.table == "cmdb_rel_ci")
            .map(|(sys_id, _)| sys_id.clone())
            .collect();
        for relation in relations {
            self.store.remove(&relation);
        }
    }

    /// A record.
    pub fn get(&self, sys_id: &str) -> Option<&Row> {
        self.store.get(sys_id)
    }

    /// The records of a table, with those that extend it, that an encoded query finds, by `sys_id`.
    pub fn find(&self, table: &str, query: &str) -> Vec<(String, Row)> {
        let query = Query::parse(&self.schema, table, &format!("{query}^ORDERBYsys_id"));
        let found = query.run(&self.schema, &self.store, table, None);
        found.into_iter().map(|(sys_id, row)| (sys_id.clone(), row.clone())).collect()
    }

    /// All records by table and `sys_id`, without the base system's choices and relation types.
    pub fn tables(&self) -> BTreeMap<String, BTreeMap<String, BTreeMap<String, String>>> {
        let mut tables: BTreeMap<String, BTreeMap<String, _>> = BTreeMap::new();
        for (sys_id, row) in self.store.rows() {
            if row.get("sys_created_by") != "system" {
                tables.entry(row.table.clone()).or_default().insert(sys_id.clone(), row.values.clone());
            }
        }
        tables
    }

    /// The identifier of a relationship type of this name.
    pub fn relation_type(&self, name: &str) -> Option<String> {
        self.store.having("name", name).find(|(_, row)| row.table == "cmdb_rel_type").map(|(sys_id, _)| sys_id.clone())
    }

    pub(crate) fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(name).map(String::as_str)
    }

    pub(crate) fn is_on(&self, name: &str, default: bool) -> bool {
        self.property(name).map_or(default, |value| value == "true")
    }

    pub(crate) fn next_sys_id(&mut self) -> String {
        self.records_count += 1;
        sys_id(self.seed, self.records_count)
    }

    /// Makes a record with what the instance keeps of each.
    pub(crate) fn create(&mut self, table: &str, values: BTreeMap<String, String>, user: &str, now: Timestamp) -> String {
        let sys_id = self.next_sys_id();
        let row = self.fresh(table, values, user, now);
        self.store.put(sys_id.clone(), row);
        sys_id
    }

    /// Notes that somebody changed a record.
    pub(crate) fn touch(&mut self, sys_id: &str, user: &str, now: Timestamp) {
        let count = self.store.get(sys_id).and_then(|row| row.get("sys_mod_count").parse::<u64>().ok()).unwrap_or_default();
        self.store.set(sys_id, "sys_mod_count", &(count + 1).to_string());
        self.store.set(sys_id, "sys_updated_by", user);
        self.store.set(sys_id, "sys_updated_on", &clock::stored(now));
    }

    pub(crate) fn fresh(&self, table: &str, mut values: BTreeMap<String, String>, user: &str, now: Timestamp) -> Row {
        let stamp = clock::stored(now);
        for (column, _) in self.schema.columns(table) {
            if !column.default.is_empty() {
                values.entry(column.name.clone()).or_insert_with(|| column.default.clone());
            }
        }
        if self.schema.column(table, "sys_class_name").is_some() {
            values.insert("sys_class_name".to_owned(), table.to_owned());
        }
        for (column, value) in [
            ("sys_created_on", stamp.as_str()),
            ("sys_updated_on", &stamp),
            ("sys_created_by", user),
            ("sys_updated_by", user),
            ("sys_mod_count", "0"),
        ] {
            values.insert(column.to_owned(), value.to_owned());
        }
        Row { table: table.to_owned(), values, writers: BTreeMap::new() }
    }
}

impl Default for Instance {
    fn default() -> Self {
        Self::new()
    }
}
