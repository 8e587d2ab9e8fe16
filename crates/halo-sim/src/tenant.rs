//! A tenant: its configuration, its people and its assets. Plain data, that can be changed while it is served.

use std::collections::BTreeMap;

use dewpoint_sim_kit::hash::mix;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    parts::{
        Agent, Application, AssetGroup, AssetType, Client, CustomField, Field, Lookup, RelationshipWrites, Restriction, Site, Status, Team,
        TypeField, User, Version,
    },
    store::{Asset, Change, Relationship, Store},
};

/// The client id of the application that a new tenant has.
pub const CLIENT_ID: &str = "dewpoint";
/// Its secret.
pub const CLIENT_SECRET: &str = "dewpoint-secret";
/// The client and the site for what names none that is known.
pub const UNKNOWN: i64 = 1;
/// The status of assets that are in use.
pub const ACTIVE: i64 = 1;
/// The status of assets that are not in use any more.
pub const RETIRED: i64 = 4;
/// The lookup that lists all lookups.
pub const LOOKUP_TYPES: i64 = 11;

/// Everything a tenant is. Things are kept by their ids.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tenant {
    /// Its name, as in `?tenant=`.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// Who can log in.
    pub applications: Vec<Application>,
    /// Clients; 1 is the built-in Unknown.
    pub clients: BTreeMap<i64, Client>,
    /// Sites; 1 is the built-in Unknown.
    pub sites: BTreeMap<i64, Site>,
    /// Groups of asset types.
    pub groups: BTreeMap<i64, AssetGroup>,
    /// Asset types.
    pub types: BTreeMap<i64, AssetType>,
    /// Asset fields.
    pub fields: BTreeMap<i64, Field>,
    /// Custom fields.
    pub custom_fields: BTreeMap<i64, CustomField>,
    /// Statuses of assets.
    pub statuses: BTreeMap<i64, Status>,
    /// The setting "Status of new assets".
    pub new_status: i64,
    /// Statuses of tickets, which have the same ids.
    pub ticket_statuses: BTreeMap<i64, Status>,
    /// Lookups.
    pub lookups: BTreeMap<i64, Lookup>,
    /// The lookup of the names of relationships.
    pub relationship_lookup: i64,
    /// Who may be above whom.
    pub restrictions: Vec<Restriction>,
    /// Agents.
    pub agents: BTreeMap<i64, Agent>,
    /// Teams.
    pub teams: BTreeMap<i64, Team>,
    /// Users.
    pub users: BTreeMap<i64, User>,
    /// When what is done is done; a simulator sets it to its own time before each call and each edit.
    pub now: Timestamp,
    pub(crate) store: Store,
    /// The last id that configuration and people were given.
    last_id: i64,
    /// The last id of an asset.
    last_asset_id: i64,
    guids_count: u64,
    seed: u64,
}

impl Tenant {
    /// A fresh tenant `acme` of 2026, with one client that has a site, the built-in Unknown ones, three asset types (Server, Laptop, Cloud Instance), statuses,
    /// names of relationships, a few people, and the application [`CLIENT_ID`] with [`CLIENT_SECRET`], which may do everything. It has no assets.
    pub fn new() -> Self {
        let named = |names: &[(i64, &str)]| names.iter().map(|(id, name)| (*id, Status { name: (*name).to_owned() })).collect();
        let codes = |names: &[&str]| (1..).zip(names).map(|(id, name)| (id, (*name).to_owned())).collect();
        let mut tenant = Self {
            name: "acme".to_owned(),
            version: Version { app: "2.236.133".to_owned(), relationships: RelationshipWrites::Lists },
            applications: vec![Application::new(CLIENT_ID)],
            clients: BTreeMap::from([
                (UNKNOWN, Client { name: "Unknown".to_owned(), inactive: false }),
                (12, Client { name: "Acme".to_owned(), inactive: false }),
            ]),
            sites: BTreeMap::from([
                (UNKNOWN, Site { name: "Unknown".to_owned(), client_id: UNKNOWN, inactive: false }),
                (18, Site { name: "Main".to_owned(), client_id: 12, inactive: false }),
            ]),
            groups: BTreeMap::from([
                (101, AssetGroup { name: "Hardware".to_owned(), for_assets: true }),
                (112, AssetGroup { name: "Cloud".to_owned(), for_assets: true }),
                (113, AssetGroup { name: "Services".to_owned(), for_assets: false }),
            ]),
            types: BTreeMap::new(),
            fields: BTreeMap::new(),
            custom_fields: BTreeMap::from([(
                214,
                CustomField { name: "CFCostCentre".to_owned(), label: "Cost centre".to_owned(), type_id: 5 },
            )]),
            statuses: named(&[(ACTIVE, "Active"), (2, "In stock"), (3, "In repair"), (RETIRED, "Retired")]),
            new_status: ACTIVE,
            ticket_statuses: named(&[(1, "New"), (2, "In Progress"), (3, "Action Required"), (9, "Closed")]),
            lookups: BTreeMap::from([
                (22, Lookup { name: "Ticket Sources".to_owned(), codes: codes(&["Manual", "Email", "Portal"]) }),
                (
                    94,
                    Lookup {
                        name: "Asset Relationships".to_owned(),
                        codes: codes(&["Depends on", "Hosts", "Contains", "Connects to", "Protects", "Distributes to"]),
                    },
                ),
                (96, Lookup { name: "Asset Criticality".to_owned(), codes: codes(&["Low", "Medium", "High"]) }),
                (150, Lookup { name: "Environment".to_owned(), codes: codes(&["Production", "Test"]) }),
            ]),
            relationship_lookup: 94,
            restrictions: Vec::new(),
            agents: BTreeMap::from([
                (3, agent("Ada Admin", "ada@acme.example", false)),
                (8, agent("Otto Owner", "otto@acme.example", false)),
                (9, agent("Gone Agent", "gone@acme.example", true)),
            ]),
            teams: BTreeMap::from([
                (1, Team { name: "1st Line Support".to_owned(), inactive: false }),
                (2, Team { name: "Cloud".to_owned(), inactive: false }),
            ]),
            users: BTreeMap::from([
                (31, User { name: "Uma User".to_owned(), email: "uma@acme.example".to_owned(), site_id: 18, inactive: false }),
                (32, User { name: "Former User".to_owned(), email: "former@acme.example".to_owned(), site_id: 18, inactive: true }),
            ]),
            now: Timestamp::UNIX_EPOCH,
            store: Store::default(),
            last_id: 400,
            last_asset_id: 500,
            guids_count: 0,
            seed: 1,
        };
        for (id, name, validate) in [
            (24, "Purchase Date", "D"),
            (29, "IP Address", "X"),
            (51, "Model", "X"),
            (101, "Name", "X"),
            (102, "OS Version", "X"),
            (117, "Serial Number", "X"),
            (148, "Provider ID", "X"),
            (149, "Region", "X"),
        ] {
            tenant.fields.insert(id, Field { validate: validate.to_owned(), ..Field::text(name) });
        }
        tenant.fields.insert(150, Field { lookup: 150, ..Field::text("Environment") });
        for (id, name, group, fields) in [
            (120, "Server", 101, &[101, 117, 51, 102, 29, 24][..]),
            (121, "Laptop", 101, &[101, 117, 51, 24][..]),
            (130, "Cloud Instance", 112, &[101, 148, 51, 149, 150][..]),
        ] {
            tenant.types.insert(id, asset_type(name, group, fields));
        }
        tenant
    }

    /// Draws what looks like chance from another number.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Adds an asset type with these text fields, which are made where there are none of their names. The first three are its key fields.
    #[must_use]
    pub fn with_type(mut self, name: &str, fields: &[&str]) -> Self {
        self.add_type(name, fields);
        self
    }

    /// Adds an application.
    #[must_use]
    pub fn with_application(mut self, application: Application) -> Self {
        self.applications.push(application);
        self
    }

    /// Adds a site of the client `Acme`.
    #[must_use]
    pub fn with_site(mut self, name: &str) -> Self {
        let id = self.next_id();
        self.sites.insert(id, Site { name: name.to_owned(), client_id: 12, inactive: false });
        self
    }

    /// A version that makes this of relationships.
    #[must_use]
    pub fn with_relationships(mut self, writes: RelationshipWrites) -> Self {
        let app = if writes == RelationshipWrites::Lists { "2.236.133" } else { "2.154.8" };
        self.version = Version { app: app.to_owned(), relationships: writes };
        self
    }

    /// The same as [`Tenant::with_type`]; gives its id.
    pub fn add_type(&mut self, name: &str, fields: &[&str]) -> i64 {
        let ids: Vec<i64> = fields.iter().map(|name| self.field_named(name).unwrap_or_else(|| self.add_field(Field::text(name)))).collect();
        let id = self.next_id();
        self.types.insert(id, asset_type(name, 112, &ids));
        id
    }

    /// Adds a field; gives its id.
    pub fn add_field(&mut self, field: Field) -> i64 {
        let id = self.next_id();
        self.fields.insert(id, field);
        id
    }

    /// The asset type of this name, without regard to case.
    pub fn type_named(&self, name: &str) -> Option<i64> {
        self.types.iter().find(|(_, found)| same(&found.name, name)).map(|(id, _)| *id)
    }

    /// The asset field of this name, likewise.
    pub fn field_named(&self, name: &str) -> Option<i64> {
        self.fields.iter().find(|(_, found)| same(&found.name, name)).map(|(id, _)| *id)
    }

    /// The id of a relationship's name.
    pub fn relationship_named(&self, name: &str) -> Option<i64> {
        let codes = self.lookups.get(&self.relationship_lookup).map(|lookup| lookup.codes.as_slice()).unwrap_or_default();
        codes.iter().find(|(_, found)| same(found, name)).map(|(id, _)| *id)
    }

    /// Makes an asset past all rules, as people do: at the site of the client `Acme`, in use. Gives its id.
    pub fn insert(&mut self, type_id: i64, tag: &str, values: &[(&str, &str)]) -> i64 {
        let id = self.next_asset_id();
        let site_id = self.sites.iter().find(|(id, _)| **id != UNKNOWN).map_or(UNKNOWN, |(id, _)| *id);
        let values = values
            .iter()
            .filter_map(|(name, value)| Some((self.field_named(name)?, (*value).to_owned())))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let asset = Asset {
            id,
            guid: self.guid(),
            changeguid: self.guid(),
            inventory_number: tag.to_owned(),
            assettype_id: type_id,
            site_id,
            status_id: self.new_status,
            values,
            updated: self.now,
            ..Asset::default()
        };
        self.store.put(asset);
        id
    }

    /// Changes an asset past all rules.
    pub fn change(&mut self, id: i64, change: impl FnOnce(&mut Asset)) {
        let Some(mut asset) = self.store.get(id).cloned() else { return };
        change(&mut asset);
        asset.id = id;
        asset.changeguid = self.guid();
        asset.updated = self.now;
        self.store.put(asset);
    }

    /// Gives a field of an asset this value, past all rules; takes it away when the value is empty.
    pub fn set(&mut self, id: i64, field: &str, value: &str) {
        let Some(field) = self.field_named(field) else { return };
        self.change(id, |asset| {
            if value.is_empty() {
                asset.values.remove(&field);
            } else {
                asset.values.insert(field, value.to_owned());
            }
        });
    }

    /// Deletes an asset with the relationships that end at it.
    pub fn delete(&mut self, id: i64) {
        self.store.remove(id);
    }

    /// Puts one asset above another, past all rules.
    pub fn relate(&mut self, parent: i64, child: i64, relationship_id: i64) {
        self.store.relate(Relationship { parent, child, relationship_id, is_sibling: false });
    }

    /// Takes a relationship away.
    pub fn unrelate(&mut self, parent: i64, child: i64) {
        self.store.unrelate(parent, child);
    }

    /// The asset of this id.
    pub fn get(&self, id: i64) -> Option<&Asset> {
        self.store.get(id)
    }

    /// The assets with this tag, without regard to case.
    pub fn find(&self, tag: &str) -> Vec<&Asset> {
        self.store.tagged(tag).collect()
    }

    /// An asset's value of the field of this name; empty when it has none.
    pub fn value(&self, id: i64, field: &str) -> &str {
        let value = self.field_named(field).and_then(|field| self.store.get(id)?.values.get(&field));
        value.map_or("", String::as_str)
    }

    /// All assets, by their ids.
    pub fn assets(&self) -> Vec<&Asset> {
        self.store.assets().collect()
    }

    /// All relationships, by parent and child.
    pub fn relationships(&self) -> Vec<Relationship> {
        self.store.relationships().copied().collect()
    }

    /// The audit trail of an asset.
    pub fn changes(&self, id: i64) -> Vec<&Change> {
        self.store.changes_of(id).collect()
    }

    pub(crate) fn next_id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }

    pub(crate) fn next_asset_id(&mut self) -> i64 {
        self.last_asset_id += 1;
        self.last_asset_id
    }

    /// Another identifier that nothing has.
    pub(crate) fn guid(&mut self) -> String {
        self.guids_count += 1;
        let [high, low] = [0, 1].map(|half| mix(mix(self.seed ^ half) ^ self.guids_count));
        let hex = format!("{high:016x}{low:016x}");
        let part = |from, to| hex.get(from..to).unwrap_or_default().to_owned();
        [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
    }
}

impl Default for Tenant {
    fn default() -> Self {
        Self::new()
    }
}

/// Names are compared without regard to case.
pub(crate) fn same(left: &str, right: &str) -> bool {
    left.trim().to_lowercase() == right.trim().to_lowercase()
}

fn agent(name: &str, email: &str, disabled: bool) -> Agent {
    Agent { name: name.to_owned(), email: email.to_owned(), team: "Cloud".to_owned(), disabled, is_api: false }
}

fn asset_type(name: &str, group_id: i64, fields: &[i64]) -> AssetType {
    let fields = (1_u8..)
        .zip(fields)
        .map(|(number, field_id)| TypeField { id: i64::from(number), field_id: *field_id, key: (number <= 3).then_some(number) })
        .collect();
    AssetType { name: name.to_owned(), group_id, fields, ..AssetType::default() }
}
