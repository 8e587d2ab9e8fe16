//! What a tenant is set up with: asset types, their fields, statuses, the site.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_core::target::TargetError;
use serde::Deserialize;
use serde_json::Value;

use crate::asset::Id;
use crate::mapping::ESTATE;
use crate::tag::folded;

/// The kind of asset fields among all fields.
pub(crate) const FIELD_KIND: &str = "T";

/// How free text is validated.
pub(crate) const FREE_TEXT: &str = "X";

/// An asset type as it is listed.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RawType {
    pub(crate) id: Id,
    pub(crate) name: String,
    /// Some versions show them of a single type alone.
    #[serde(default)]
    pub(crate) fields: Option<Vec<Value>>,
    #[serde(default)]
    pub(crate) allowall_status: Option<bool>,
    #[serde(default)]
    keyfield_name: Option<String>,
    #[serde(default)]
    keyfield2_name: Option<String>,
    #[serde(default)]
    keyfield3_name: Option<String>,
    /// Shown of a single type.
    #[serde(default)]
    pub(crate) allowed_status: Option<Vec<AllowedStatus>>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct AllowedStatus {
    #[serde(default)]
    status_id: Option<Id>,
}

/// An asset field as it is listed.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RawField {
    pub(crate) id: Id,
    #[serde(default)]
    pub(crate) name: Option<String>,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    validate: Option<String>,
    #[serde(default)]
    lookup: Option<Id>,
}

/// Something that has an id and a name, as a group, a status, a client, a site or the code of a lookup.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Named {
    pub(crate) id: Id,
    #[serde(default)]
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) client_id: Option<Id>,
    #[serde(default)]
    pub(crate) inactive: Option<bool>,
    /// "Use for Assets", of a group.
    #[serde(default)]
    pub(crate) showasequip: Option<bool>,
    /// What a status is one of.
    #[serde(default, rename = "type")]
    pub(crate) sort: Option<i64>,
}

impl Named {
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.name.as_deref().is_some_and(|own| folded(own) == folded(name))
    }
}

/// A field of an asset type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) id: Id,
    /// Whether it takes any text.
    pub(crate) is_plain: bool,
}

/// An asset type.
#[derive(Debug, Clone)]
pub(crate) struct AssetType {
    pub(crate) id: Id,
    pub(crate) name: String,
    /// By folded name.
    fields: BTreeMap<String, Field>,
    /// Rows of its fields as they were shown: who adds one has to send all. `None` where they were not shown.
    pub(crate) rows: Option<Vec<Value>>,
    /// The fields that searches go through, where they are told, by folded name.
    keys: BTreeSet<String>,
    /// The statuses that its assets can have; all where `None`.
    statuses: Option<BTreeSet<Id>>,
}

impl AssetType {
    /// A field by its name.
    pub(crate) fn field(&self, name: &str) -> Option<Field> {
        self.fields.get(&folded(name)).copied()
    }

    /// Whether searches find its assets by what stands in this field, as far as it tells.
    pub(crate) fn is_searched(&self, name: &str) -> bool {
        self.keys.is_empty() || self.keys.contains(&folded(name))
    }

    /// Whether its assets can have a status.
    pub(crate) fn allows(&self, status: Id) -> bool {
        self.statuses.as_ref().is_none_or(|allowed| allowed.contains(&status))
    }
}

/// All of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Schema {
    pub(crate) types: BTreeMap<Id, AssetType>,
    /// Asset fields by folded name.
    pub(crate) fields: BTreeMap<String, Field>,
    /// Statuses of assets by folded name; `None` where nobody can tell them from those of tickets.
    pub(crate) statuses: Option<BTreeMap<String, Id>>,
    /// The site of new assets, where there is one.
    pub(crate) site: Option<Id>,
    /// Why types of ours cannot be used, by folded name.
    pub(crate) flaws: BTreeMap<String, TargetError>,
}

impl Schema {
    pub(crate) fn new(types: Vec<RawType>, fields: Vec<RawField>) -> Self {
        let is_plain = |field: &RawField| {
            field.validate.as_deref().is_none_or(|validate| validate.is_empty() || validate == FREE_TEXT)
                && field.lookup.is_none_or(|lookup| lookup.0 <= 0)
        };
        let of_assets = |field: &&RawField| field.kind.as_deref().is_none_or(|kind| kind.eq_ignore_ascii_case(FIELD_KIND));
        let by_id: BTreeMap<Id, Field> =
            fields.iter().filter(of_assets).map(|field| (field.id, Field { id: field.id, is_plain: is_plain(field) })).collect();
        let mut by_name = BTreeMap::new();
        for field in fields.iter().filter(of_assets) {
            if let (Some(name), Some(found)) = (&field.name, by_id.get(&field.id)) {
                // Of two with one name the older stands.
                by_name.entry(folded(name)).or_insert(*found);
            }
        }
        let names: BTreeMap<Id, String> = fields.into_iter().filter_map(|field| Some((field.id, folded(&field.name?)))).collect();
        let typed = |raw: RawType| {
            let rows = raw.fields;
            let of_row = |row: &Value| {
                let id = row.get("field_id").and_then(Id::of)?;
                let name = names.get(&id).cloned().or_else(|| row.get("field_name").and_then(Value::as_str).map(folded))?;
                Some((name, by_id.get(&id).copied().unwrap_or(Field { id, is_plain: false })))
            };
            let mut own = BTreeMap::new();
            for (name, field) in rows.iter().flatten().filter_map(of_row) {
                own.entry(name).or_insert(field);
            }
            let keys = [raw.keyfield_name, raw.keyfield2_name, raw.keyfield3_name].into_iter().flatten();
            let keys = keys.map(|name| folded(&name)).filter(|name| !name.is_empty()).collect();
            let restricted = raw.allowed_status.filter(|_| raw.allowall_status == Some(false));
            let statuses = restricted.map(|all| all.into_iter().filter_map(|status| status.status_id).collect());
            (raw.id, AssetType { id: raw.id, name: raw.name, fields: own, rows, keys, statuses })
        };
        Self { types: types.into_iter().map(typed).collect(), fields: by_name, ..Self::default() }
    }

    /// A type by its name.
    pub(crate) fn type_named(&self, name: &str) -> Option<&AssetType> {
        let name = folded(name);
        self.types.values().find(|own| folded(&own.name) == name)
    }

    /// Why a type of ours cannot be used.
    pub(crate) fn flaw(&self, class: &str) -> Option<&TargetError> {
        self.flaws.get(&folded(class))
    }

    /// The types whose assets may be ours.
    pub(crate) fn marked(&self) -> impl Iterator<Item = &AssetType> {
        self.types.values().filter(|own| own.field(ESTATE).is_some())
    }

    /// The id of a status.
    pub(crate) fn status(&self, name: &str) -> Option<Id> {
        self.statuses.as_ref()?.get(&folded(name)).copied()
    }
}
