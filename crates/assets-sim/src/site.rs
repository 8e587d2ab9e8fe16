//! A site: its configuration, its objects, its people. Plain data, so that it can be copied and changed.

use std::{collections::BTreeMap, fmt};

use dewpoint_sim_kit::hash::mix;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    import::ImportSource,
    object::{Change, Object, Store, fold},
    value,
};

/// A password, a token or a secret. It does not show in debug output.
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

/// Which product it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deployment {
    /// Atlassian's own: ids are text, `/jsm/assets/workspace/…`.
    Cloud,
    /// A company's own: ids are numbers, `/rest/assets/1.0`.
    DataCenter,
}

/// What somebody may do in a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads.
    User,
    /// Writes objects too.
    Developer,
    /// Changes the schema too.
    Manager,
}

/// A token that stands for a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// What is sent.
    pub secret: Secret,
    /// What it is good for; anything when missing. On Cloud a token with scopes works below `/ex/jira/` only, and one without everywhere else only.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    /// When it ends.
    #[serde(default)]
    pub expires: Option<Timestamp>,
}

/// Somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The account's id on Cloud, the user's key on Data Center.
    pub id: String,
    /// The name to log in with on Data Center.
    pub name: String,
    /// As people read it.
    pub display_name: String,
    /// The address, with which API tokens are sent.
    pub email: String,
    /// Others do not see the address.
    #[serde(default)]
    pub email_hidden: bool,
    /// Whether the account is in use.
    pub active: bool,
    /// Whether they have a seat in Jira Service Management.
    pub agent: bool,
    /// Whether they administer Jira.
    pub admin: bool,
    /// API tokens, on Data Center personal access tokens.
    pub tokens: Vec<Token>,
    /// The password, on Data Center.
    pub password: Secret,
    /// Names of their groups.
    pub groups: Vec<String>,
    /// The role in all schemas that [`roles`](Self::roles) does not name.
    #[serde(default)]
    pub everywhere: Option<Role>,
    /// Roles by schema; none keeps them out.
    #[serde(default)]
    pub roles: BTreeMap<u64, Option<Role>>,
}

impl User {
    /// The role in a schema.
    pub fn role(&self, schema: u64) -> Option<Role> {
        if self.admin { Some(Role::Manager) } else { self.roles.get(&schema).copied().unwrap_or(self.everywhere) }
    }
}

/// An OAuth 2.0 app with what users granted it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OauthClient {
    /// `client_id`.
    pub id: String,
    /// `client_secret`.
    pub secret: Secret,
    /// Whom it acts as, by id.
    pub user: String,
    /// What was granted.
    pub scopes: Vec<String>,
    /// The refresh token that is good now: each can be used once.
    pub refresh_token: Option<Secret>,
    /// Whether it may use the grant `client_credentials`, as service accounts do.
    pub client_credentials: bool,
    /// Life of an access token.
    pub access_life_s: i64,
}

/// An icon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Icon {
    /// Its id: a UUID on Cloud, a number on Data Center.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// An object schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// What the keys of its objects begin with.
    pub key: String,
    /// What people wrote.
    #[serde(default)]
    pub description: String,
    /// Objects of other schemas may refer to its objects.
    #[serde(default)]
    pub allow_other_object_schema: bool,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

/// An object type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectType {
    /// Its number.
    pub id: u64,
    /// Its schema.
    pub schema_id: u64,
    /// Its name.
    pub name: String,
    /// What people wrote.
    #[serde(default)]
    pub description: String,
    /// Its icon.
    pub icon_id: String,
    /// The type above it.
    pub parent_id: Option<u64>,
    /// Whether those below it have its attributes.
    pub inherited: bool,
    /// Whether it has no objects of its own.
    pub is_abstract: bool,
    /// Its place among its siblings.
    pub position: u64,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

/// What values an attribute has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Type 0: a text of some form.
    Default(Form),
    /// Type 1: other objects.
    Reference {
        /// Of which type.
        type_id: u64,
        /// The reference type.
        reference_type: u64,
    },
    /// Type 2: users, of these groups if any are named.
    User {
        /// The groups.
        groups: Vec<String>,
    },
    /// Type 4: groups.
    Group,
    /// Type 7: statuses; all of the schema and the global ones if none are named.
    Status {
        /// Those allowed.
        allowed: Vec<u64>,
    },
}

/// The form of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words are the product's")]
pub enum Form {
    Text,
    Integer,
    Boolean,
    Double,
    Date,
    Time,
    DateTime,
    Url,
    Email,
    Textarea,
    Select,
    IpAddress,
}

impl Form {
    const ALL: [(Self, &'static str); 12] = [
        (Self::Text, "Text"),
        (Self::Integer, "Integer"),
        (Self::Boolean, "Boolean"),
        (Self::Double, "Double"),
        (Self::Date, "Date"),
        (Self::Time, "Time"),
        (Self::DateTime, "DateTime"),
        (Self::Url, "Url"),
        (Self::Email, "Email"),
        (Self::Textarea, "Textarea"),
        (Self::Select, "Select"),
        (Self::IpAddress, "IP Address"),
    ];

    pub(crate) fn of(id: i64) -> Option<Self> {
        usize::try_from(id).ok().and_then(|at| Self::ALL.get(at)).map(|(form, _)| *form)
    }

    /// The number and the name that the product gives it.
    pub(crate) fn id_and_name(self) -> (usize, &'static str) {
        let found = Self::ALL.iter().enumerate().find(|(_, (form, _))| *form == self);
        found.map_or((0, "Text"), |(at, (_, name))| (at, *name))
    }
}

/// What a system attribute tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum System {
    /// The object's key.
    Key,
    /// When it was made.
    Created,
    /// When it was changed.
    Updated,
}

/// An attribute of an object type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// Its number.
    pub id: u64,
    /// The type that it was made in.
    pub type_id: u64,
    /// Its name.
    pub name: String,
    /// What people wrote.
    #[serde(default)]
    pub description: String,
    /// What values it has.
    pub kind: Kind,
    /// What it tells, where the system keeps it.
    #[serde(default)]
    pub system: Option<System>,
    /// Whether its value is what the object is called.
    #[serde(default)]
    pub label: bool,
    /// How many values there have to be.
    #[serde(default)]
    pub minimum: u32,
    /// How many there can be; any number when missing.
    pub maximum: Option<u32>,
    /// No two objects have the same value.
    #[serde(default)]
    pub unique: bool,
    /// What a value has to match.
    #[serde(default)]
    pub regex: Option<String>,
    /// The options of a select, in their order.
    #[serde(default)]
    pub options: Vec<String>,
    /// References may go to types below the one that is named.
    #[serde(default)]
    pub include_children: bool,
    /// What objects a reference may go to, in AQL.
    #[serde(default)]
    pub query: Option<String>,
    /// Users do not see it.
    #[serde(default)]
    pub hidden: bool,
    /// Whether sums are shown.
    #[serde(default)]
    pub summable: bool,
    /// The unit of numbers.
    #[serde(default)]
    pub suffix: String,
    /// `typeValue`, `additionalValue` as they were sent, where they mean nothing here.
    #[serde(default)]
    pub additional: Option<String>,
    /// Its place in the type.
    pub position: u64,
}

impl Attribute {
    /// An attribute of one value that need not be there; numbers are given when it is put in.
    pub fn new(name: &str, kind: Kind) -> Self {
        Self {
            id: 0,
            type_id: 0,
            name: name.to_owned(),
            description: String::new(),
            kind,
            system: None,
            label: false,
            minimum: 0,
            maximum: Some(1),
            unique: false,
            regex: None,
            options: Vec::new(),
            include_children: false,
            query: None,
            hidden: false,
            summable: false,
            suffix: String::new(),
            additional: None,
            position: 0,
        }
    }

    /// A text.
    pub fn text(name: &str) -> Self {
        Self::new(name, Kind::Default(Form::Text))
    }

    /// Any number of references to objects of this type, or of those below it.
    pub fn references(name: &str, type_id: u64) -> Self {
        let kind = Kind::Reference { type_id, reference_type: 1 };
        Self { maximum: None, include_children: true, ..Self::new(name, kind) }
    }

    /// A status, any.
    pub fn status(name: &str) -> Self {
        Self::new(name, Kind::Status { allowed: Vec::new() })
    }

    /// A choice of these.
    pub fn select(name: &str, options: &[&str]) -> Self {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        Self { options, ..Self::new(name, Kind::Default(Form::Select)) }
    }

    /// The same, and no two objects have the same value.
    #[must_use]
    pub fn unique(mut self) -> Self {
        self.unique = true;
        self
    }

    /// The same, and there has to be a value.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.minimum = self.minimum.max(1);
        self
    }

    /// The same with another number of values at most; any number when `None`.
    #[must_use]
    pub fn at_most(mut self, maximum: Option<u32>) -> Self {
        self.maximum = maximum;
        self
    }

    pub(crate) fn is_reference(&self) -> bool {
        matches!(self.kind, Kind::Reference { .. })
    }
}

/// A status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusType {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// What people wrote.
    #[serde(default)]
    pub description: String,
    /// 0 inactive, 1 active, 2 pending.
    pub category: u8,
    /// Its schema; of all when missing.
    pub schema_id: Option<u64>,
}

/// A reference type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferenceType {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// What people wrote.
    #[serde(default)]
    pub description: String,
    /// As in `#999999`.
    #[serde(default)]
    pub color: String,
    /// Its schema; of all when missing.
    pub schema_id: Option<u64>,
}

/// The next numbers.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Numbers {
    schema: u64,
    object_type: u64,
    attribute: u64,
    status: u64,
    reference_type: u64,
    object: u64,
    change: u64,
    import: u64,
}

/// Everything a site is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Site {
    /// Which product.
    pub deployment: Deployment,
    /// Whether the plan has Assets: without, no workspace is listed, and all calls are 403.
    pub premium: bool,
    /// The workspace's id, on Cloud.
    pub workspace_id: String,
    /// The site's id, on Cloud.
    pub cloud_id: String,
    /// What Jira calls itself.
    pub title: String,
    /// Jira's version, on Data Center.
    pub version: String,
    /// Basic authentication with passwords, on Data Center; new ones have it off.
    pub basic: bool,
    /// Objects that can be made; no limit when missing.
    pub object_limit: Option<usize>,
    /// Whether the attribute `Name` of a new type is unique. The documentation does not say; its samples show it so.
    pub name_is_unique: bool,
    /// Who there is.
    pub users: Vec<User>,
    /// The groups there are.
    pub groups: Vec<String>,
    /// OAuth 2.0 apps.
    pub clients: Vec<OauthClient>,
    /// Icons for object types.
    pub icons: Vec<Icon>,
    /// Object schemas.
    pub schemas: BTreeMap<u64, Schema>,
    /// Object types.
    pub types: BTreeMap<u64, ObjectType>,
    /// Attributes. To make one that refers to objects use [`Site::add_attribute`].
    pub attributes: BTreeMap<u64, Attribute>,
    /// Statuses.
    pub statuses: BTreeMap<u64, StatusType>,
    /// Reference types.
    pub reference_types: BTreeMap<u64, ReferenceType>,
    /// Import sources.
    pub imports: Vec<ImportSource>,
    pub(crate) store: Store,
    numbers: Numbers,
    seed: u64,
}

/// The scopes of all that this simulator serves.
pub const ALL_SCOPES: [&str; 17] = [
    "read:cmdb-object:jira",
    "write:cmdb-object:jira",
    "delete:cmdb-object:jira",
    "read:cmdb-schema:jira",
    "write:cmdb-schema:jira",
    "delete:cmdb-schema:jira",
    "read:cmdb-type:jira",
    "write:cmdb-type:jira",
    "delete:cmdb-type:jira",
    "read:cmdb-attribute:jira",
    "write:cmdb-attribute:jira",
    "delete:cmdb-attribute:jira",
    "import:import-configuration:cmdb",
    "read:servicedesk-request",
    "read:jira-user",
    "read:jira-work",
    "offline_access",
];

impl Site {
    /// A Cloud site with Assets and these accounts, whose API token is the part of the address before the `@` and `-token`: `integration@example.com`, manager of
    /// all schemas, `admin@example.com`, who administers Jira, `developer@example.com`, `reader@example.com`, who have these roles in all schemas, and
    /// `nobody@example.com`, who has no seat. There is an OAuth 2.0 app `client-id` with the secret `client-secret`, all scopes and the refresh token
    /// `refresh-token`, which acts as `integration`.
    pub fn new() -> Self {
        Self::of(Deployment::Cloud)
    }

    /// The same on Data Center: the tokens are personal access tokens, passwords are the name and `-password`, and do not work before [`Site::basic`] is set.
    pub fn data_center() -> Self {
        Self::of(Deployment::DataCenter)
    }

    fn of(deployment: Deployment) -> Self {
        let is_cloud = deployment == Deployment::Cloud;
        let mut site = Self {
            deployment,
            premium: true,
            workspace_id: "f1668d0c-828c-470c-b7d1-8c4f48cd345a".to_owned(),
            cloud_id: "11223344-a1b2-3b33-c444-def123456789".to_owned(),
            title: "Jira".to_owned(),
            version: "10.3.4".to_owned(),
            basic: false,
            object_limit: None,
            name_is_unique: true,
            users: Vec::new(),
            groups: ["jira-administrators", "jira-servicemanagement-users", "cloud-operations"].map(str::to_owned).to_vec(),
            clients: Vec::new(),
            icons: Vec::new(),
            schemas: BTreeMap::new(),
            types: BTreeMap::new(),
            attributes: BTreeMap::new(),
            statuses: BTreeMap::new(),
            reference_types: BTreeMap::new(),
            imports: Vec::new(),
            store: Store::default(),
            numbers: Numbers {
                schema: 6,
                object_type: 23,
                attribute: 135,
                status: 1,
                reference_type: 1,
                object: 5001,
                change: 90_001,
                import: 1,
            },
            seed: 1,
        };
        for (at, name) in (1_u64..).zip(["Computer", "Cloud", "Database", "Firewall", "Server", "Network", "Location", "Delete"]) {
            let id = if is_cloud { uuid(7, at) } else { at.to_string() };
            site.icons.push(Icon { id, name: name.to_owned() });
        }
        for (name, category) in [
            ("Action Needed", 2),
            ("Active", 1),
            ("Closed", 0),
            ("In Service", 1),
            ("Running", 1),
            ("Stopped", 0),
            ("Support Requested", 2),
        ] {
            site.add_status(name, category, None);
        }
        for name in ["Depends", "Installed", "Link", "Reference", "Using"] {
            site.add_reference_type(name, None);
        }
        for (name, admin, everywhere, groups) in [
            ("integration", false, Some(Role::Manager), &["cloud-operations", "jira-servicemanagement-users"][..]),
            ("admin", true, None, &["jira-administrators"]),
            ("developer", false, Some(Role::Developer), &["jira-servicemanagement-users"]),
            ("reader", false, Some(Role::User), &["jira-servicemanagement-users"]),
            ("nobody", false, None, &[]),
        ] {
            site.add_user(name);
            if let Some(user) = site.users.last_mut() {
                user.admin = admin;
                user.everywhere = everywhere;
                user.agent = name != "nobody";
                user.groups = groups.iter().map(|group| (*group).to_owned()).collect();
            }
        }
        let user = site.users.first().map(|user| user.id.clone()).unwrap_or_default();
        site.clients.push(OauthClient {
            id: "client-id".to_owned(),
            secret: Secret::new("client-secret"),
            user,
            scopes: ALL_SCOPES.map(str::to_owned).to_vec(),
            refresh_token: Some(Secret::new("refresh-token")),
            client_credentials: true,
            access_life_s: 3600,
        });
        site
    }

    /// Draws identifiers from another number.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Has basic authentication on, on Data Center.
    #[must_use]
    pub fn with_basic(mut self) -> Self {
        self.basic = true;
        self
    }

    /// Limits the number of objects.
    #[must_use]
    pub fn with_object_limit(mut self, limit: usize) -> Self {
        self.object_limit = Some(limit);
        self
    }

    /// New types have a `Name` that several objects can share.
    #[must_use]
    pub fn with_common_names(mut self) -> Self {
        self.name_is_unique = false;
        self
    }

    /// Has an object schema of this key, named the same.
    #[must_use]
    pub fn with_schema(mut self, key: &str) -> Self {
        self.add_schema(key, key);
        self
    }

    pub(crate) fn is_cloud(&self) -> bool {
        self.deployment == Deployment::Cloud
    }

    /// Makes a user with the address `NAME@example.com`, the token `NAME-token`, the password `NAME-password`, a seat and no role. Gives the account's id or key.
    pub fn add_user(&mut self, name: &str) -> String {
        let at = u64::try_from(self.users.len()).unwrap_or_default();
        let id = if self.is_cloud() { format!("712020:{}", uuid(self.seed ^ 11, at)) } else { format!("JIRAUSER{}", 10_000 + at) };
        self.users.push(User {
            id: id.clone(),
            name: name.to_owned(),
            display_name: capitalised(name),
            email: format!("{name}@example.com"),
            email_hidden: false,
            active: true,
            agent: true,
            admin: false,
            tokens: vec![Token { secret: Secret::new(&format!("{name}-token")), scopes: None, expires: None }],
            password: Secret::new(&format!("{name}-password")),
            groups: Vec::new(),
            everywhere: None,
            roles: BTreeMap::new(),
        });
        id
    }

    /// A user, by account id or key, name or address.
    pub fn user(&self, who: &str) -> Option<&User> {
        self.users.iter().find(|user| user.id == who || user.name == who || user.email == who)
    }

    /// The same, to change.
    pub fn user_mut(&mut self, who: &str) -> Option<&mut User> {
        self.users.iter_mut().find(|user| user.id == who || user.name == who || user.email == who)
    }

    /// Makes an object schema.
    pub fn add_schema(&mut self, name: &str, key: &str) -> u64 {
        let id = take(&mut self.numbers.schema);
        let schema = Schema {
            id,
            name: name.to_owned(),
            key: key.to_owned(),
            description: String::new(),
            allow_other_object_schema: false,
            created: Timestamp::UNIX_EPOCH,
            updated: Timestamp::UNIX_EPOCH,
        };
        self.schemas.insert(id, schema);
        id
    }

    /// Makes an object type with the attributes that all are born with: Key, Name, Created, Updated. One below a type that passes its attributes on has those.
    pub fn add_type(&mut self, schema_id: u64, name: &str, parent_id: Option<u64>) -> u64 {
        let icon_id = self.icons.first().map(|icon| icon.id.clone()).unwrap_or_default();
        self.add_type_with(ObjectType {
            id: 0,
            schema_id,
            name: name.to_owned(),
            description: String::new(),
            icon_id,
            parent_id,
            inherited: false,
            is_abstract: false,
            position: 0,
            created: Timestamp::UNIX_EPOCH,
            updated: Timestamp::UNIX_EPOCH,
        })
    }

    /// The same with everything said; number and place are given here.
    pub fn add_type_with(&mut self, mut object_type: ObjectType) -> u64 {
        let id = take(&mut self.numbers.object_type);
        object_type.id = id;
        let siblings =
            self.types.values().filter(|other| other.schema_id == object_type.schema_id && other.parent_id == object_type.parent_id);
        object_type.position = siblings.map(|other| other.position + 1).max().unwrap_or_default();
        let inherits = object_type.parent_id.and_then(|parent| self.types.get(&parent)).is_some_and(|parent| parent.inherited);
        self.types.insert(id, object_type);
        if !inherits {
            let text = |name: &str, system| Attribute { system, minimum: 1, ..Attribute::text(name) };
            let date = |name: &str, system| Attribute { kind: Kind::Default(Form::DateTime), ..text(name, Some(system)) };
            self.add_attribute(id, text("Key", Some(System::Key)));
            self.add_attribute(id, Attribute { label: true, unique: self.name_is_unique, ..text("Name", None) });
            self.add_attribute(id, date("Created", System::Created));
            self.add_attribute(id, date("Updated", System::Updated));
        }
        id
    }

    /// Adds an attribute to a type; number and place are given here. A new label takes the place of the old one.
    pub fn add_attribute(&mut self, type_id: u64, mut attribute: Attribute) -> u64 {
        let id = take(&mut self.numbers.attribute);
        attribute.id = id;
        attribute.type_id = type_id;
        attribute.position = self.own_attributes(type_id).map(|other| other.position + 1).max().unwrap_or_default();
        if attribute.is_reference() {
            self.store.add_reference(id);
        }
        let is_label = attribute.label;
        self.attributes.insert(id, attribute);
        if is_label {
            self.make_label(id);
        }
        id
    }

    /// Makes an attribute the label of its type, in place of the one that is.
    pub(crate) fn make_label(&mut self, id: u64) {
        let Some(type_id) = self.attributes.get(&id).map(|attribute| attribute.type_id) else { return };
        for other in self.attributes.values_mut().filter(|other| other.type_id == type_id) {
            other.label = other.id == id;
        }
    }

    /// Makes a status; of all schemas when none is named.
    pub fn add_status(&mut self, name: &str, category: u8, schema_id: Option<u64>) -> u64 {
        let id = take(&mut self.numbers.status);
        self.statuses.insert(id, StatusType { id, name: name.to_owned(), description: String::new(), category, schema_id });
        id
    }

    /// Makes a reference type; of all schemas when none is named.
    pub fn add_reference_type(&mut self, name: &str, schema_id: Option<u64>) -> u64 {
        let id = take(&mut self.numbers.reference_type);
        let made = ReferenceType { id, name: name.to_owned(), description: String::new(), color: "#999999".to_owned(), schema_id };
        self.reference_types.insert(id, made);
        id
    }

    /// Makes an external import source of a schema, with the token `import-token-N`, counted from 1. Gives its id.
    pub fn add_import(&mut self, schema_id: u64, name: &str) -> String {
        let number = take(&mut self.numbers.import);
        let id = uuid(self.seed ^ 13, number);
        self.imports.push(ImportSource::new(&id, schema_id, name, Secret::new(&format!("import-token-{number}"))));
        id
    }

    /// A schema by its key or name.
    pub fn schema(&self, key: &str) -> Option<&Schema> {
        self.schemas.values().find(|schema| schema.key == key || schema.name == key)
    }

    /// A type by its name.
    pub fn type_named(&self, name: &str) -> Option<&ObjectType> {
        self.types.values().find(|object_type| object_type.name == name)
    }

    /// The types from this one up, as far as they pass attributes on.
    pub(crate) fn lineage(&self, type_id: u64) -> impl Iterator<Item = u64> + '_ {
        std::iter::successors(Some(type_id), |id| {
            let parent = self.types.get(id)?.parent_id?;
            self.types.get(&parent).filter(|parent| parent.inherited).map(|parent| parent.id)
        })
    }

    fn own_attributes(&self, type_id: u64) -> impl Iterator<Item = &Attribute> {
        self.attributes.values().filter(move |attribute| attribute.type_id == type_id)
    }

    /// The attributes that objects of a type have: those of its ancestors first, as far as they pass them on.
    pub fn attributes_of(&self, type_id: u64) -> Vec<&Attribute> {
        let mut lineage: Vec<u64> = self.lineage(type_id).collect();
        lineage.reverse();
        let mut found = Vec::new();
        for type_id in lineage {
            let mut own: Vec<&Attribute> = self.own_attributes(type_id).collect();
            own.sort_by_key(|attribute| attribute.position);
            found.extend(own);
        }
        found
    }

    /// An attribute of a type, its own or one that it has from above, by its name.
    pub fn attribute(&self, type_id: u64, name: &str) -> Option<&Attribute> {
        self.attributes_of(type_id).into_iter().find(|attribute| attribute.name == name)
    }

    /// Whether this type is that one or lies below it.
    pub(crate) fn is_or_below(&self, type_id: u64, above: u64) -> bool {
        std::iter::successors(Some(type_id), |id| self.types.get(id)?.parent_id).any(|id| id == above)
    }

    /// A type with all that lie below it.
    pub(crate) fn with_below(&self, type_id: u64) -> Vec<u64> {
        self.types.keys().copied().filter(|id| self.is_or_below(*id, type_id)).collect()
    }

    /// The attribute by whose value objects of a type are called: the nearest type's own.
    pub(crate) fn label_of(&self, type_id: u64) -> Option<&Attribute> {
        self.lineage(type_id).find_map(|type_id| self.own_attributes(type_id).find(|attribute| attribute.label))
    }

    /// What an object is called.
    pub fn label(&self, object: &Object) -> String {
        match self.label_of(object.type_id) {
            Some(attribute) => self.shown(object, attribute).into_iter().next().unwrap_or_else(|| object.key.clone()),
            None => object.key.clone(),
        }
    }

    /// The values of an object's attribute as people see them.
    pub fn shown(&self, object: &Object, attribute: &Attribute) -> Vec<String> {
        match attribute.system {
            Some(System::Key) => vec![object.key.clone()],
            Some(System::Created) => vec![value::stamp(object.created)],
            Some(System::Updated) => vec![value::stamp(object.updated)],
            None => object.values(attribute.id).iter().map(|stored| self.shown_value(attribute, stored)).collect(),
        }
    }

    pub(crate) fn shown_value(&self, attribute: &Attribute, stored: &str) -> String {
        let shown = match &attribute.kind {
            Kind::Default(_) | Kind::Group => None,
            Kind::Reference { .. } => stored.parse().ok().and_then(|id| self.store.get(id)).map(|object| self.label(object)),
            Kind::User { .. } => self.user(stored).map(|user| user.display_name.clone()),
            Kind::Status { .. } => stored.parse().ok().and_then(|id: u64| self.statuses.get(&id)).map(|status| status.name.clone()),
        };
        shown.unwrap_or_else(|| stored.to_owned())
    }

    /// Puts an object in as people do, past all rules, and gives its number. Values are given by the attribute's name, several for one that has several, and are
    /// taken as they are stored; keys of objects, names of statuses and names of users are translated. Its times are those of 1970: an old object.
    ///
    /// Nothing happens, and the number is 0, when there is no such type.
    pub fn insert(&mut self, type_id: u64, values: &[(&str, &str)]) -> u64 {
        let Some(object_type) = self.types.get(&type_id) else { return 0 };
        let prefix = self.schemas.get(&object_type.schema_id).map(|schema| schema.key.clone()).unwrap_or_default();
        let id = take(&mut self.numbers.object);
        let mut object = Object {
            id,
            type_id,
            key: format!("{prefix}-{id}"),
            values: BTreeMap::new(),
            created: Timestamp::UNIX_EPOCH,
            updated: Timestamp::UNIX_EPOCH,
            history: Vec::new(),
            archived: false,
        };
        self.set(&mut object, values);
        self.store.put(object);
        id
    }

    /// Changes attributes of an object as people do, past all rules; each that is named has these values from now on, and none where they are empty.
    pub fn change(&mut self, id: u64, values: &[(&str, &str)]) {
        if let Some(mut object) = self.store.get(id).cloned() {
            self.set(&mut object, values);
            self.store.put(object);
        }
    }

    fn set(&self, object: &mut Object, values: &[(&str, &str)]) {
        let attributes = self.attributes_of(object.type_id);
        let mut new: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for (name, value) in values {
            let Some(attribute) = attributes.iter().find(|attribute| attribute.name == *name) else { continue };
            let stored = match &attribute.kind {
                Kind::Reference { .. } => self.find(value).map(|object| object.id.to_string()),
                Kind::Status { .. } => self.statuses.values().find(|status| status.name == *value).map(|status| status.id.to_string()),
                Kind::User { .. } => self.user(value).map(|user| user.id.clone()),
                Kind::Default(_) | Kind::Group => None,
            };
            let values = new.entry(attribute.id).or_default();
            if !value.is_empty() {
                values.push(stored.unwrap_or_else(|| (*value).to_owned()));
            }
        }
        for (attribute, values) in new {
            if values.is_empty() {
                object.values.remove(&attribute);
            } else {
                object.values.insert(attribute, values);
            }
        }
    }

    /// Deletes an object as people do. References to it go with it.
    pub fn delete(&mut self, id: u64) {
        self.delete_noting(id, |_, _, _| {});
    }

    /// The same, and tells of each reference that goes: the object it stood in before, the attribute, the values that are left.
    pub(crate) fn delete_noting(&mut self, id: u64, mut note: impl FnMut(&Object, u64, &[String])) {
        if self.store.remove(id).is_none() {
            return;
        }
        let text = id.to_string();
        let referring: Vec<(u64, u64)> = self.store.referring_to(id).collect();
        for (source, attribute) in referring {
            let Some(mut object) = self.store.get(source).cloned() else { continue };
            let mut left = object.values.remove(&attribute).unwrap_or_default();
            left.retain(|value| *value != text);
            note(&object, attribute, &left);
            if !left.is_empty() {
                object.values.insert(attribute, left);
            }
            self.store.put(object);
        }
    }

    /// An object by its number or its key.
    pub fn find(&self, id_or_key: &str) -> Option<&Object> {
        let number = id_or_key.rsplit_once('-').map_or(id_or_key, |(_, number)| number);
        let object = self.store.get(number.parse().ok()?)?;
        (number == id_or_key || fold(&object.key) == fold(id_or_key)).then_some(object)
    }

    /// An object by its number.
    pub fn get(&self, id: u64) -> Option<&Object> {
        self.store.get(id)
    }

    /// All objects, by number.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.store.all()
    }

    /// The objects of a type, without those of types below it, as people see them: values by the attribute's name.
    pub fn rows(&self, type_name: &str) -> Vec<BTreeMap<String, Vec<String>>> {
        let types = self.types.values().filter(|object_type| object_type.name == type_name);
        let ids = types.flat_map(|object_type| self.store.of_type(object_type.id));
        ids.filter_map(|id| self.store.get(id)).map(|object| self.row(object)).collect()
    }

    /// An object as people see it: values by the attribute's name.
    pub fn row(&self, object: &Object) -> BTreeMap<String, Vec<String>> {
        let attributes = self.attributes_of(object.type_id).into_iter();
        attributes
            .map(|attribute| (attribute.name.clone(), self.shown(object, attribute)))
            .filter(|(_, values)| !values.is_empty())
            .collect()
    }

    pub(crate) fn next_object(&mut self) -> u64 {
        take(&mut self.numbers.object)
    }

    /// Writes an entry into an object's history.
    pub(crate) fn note(&mut self, object: &mut Object, actor: &str, at: Timestamp, attribute: Option<&str>, old: String, new: String) {
        let id = take(&mut self.numbers.change);
        object.history.push(Change { id, actor: actor.to_owned(), at, attribute: attribute.map(str::to_owned), old, new });
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }
}

impl Default for Site {
    fn default() -> Self {
        Self::new()
    }
}

fn take(number: &mut u64) -> u64 {
    *number += 1;
    *number - 1
}

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// A UUID drawn from a number.
pub(crate) fn uuid(seed: u64, number: u64) -> String {
    let high = mix(mix(seed) ^ number);
    let low = mix(high ^ 0x5bd1_e995);
    let digits = format!("{high:016x}{low:016x}");
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    format!("{}-{}-4{}-a{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}
