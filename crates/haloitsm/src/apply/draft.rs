//! What one asset becomes.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_core::model::Key;
use dewpoint_core::target::{TargetError, Write};
use serde_json::{Map, Value, json};

use super::Batch;
use crate::asset::{Asset, Id, Note};
use crate::mapping::{DATA, DELIVERED_AT, ESTATE, KEY};
use crate::reading::written;
use crate::schema::AssetType;
use crate::shape::{FieldShape, fits};
use crate::tag::{folded, tag};

/// An asset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum On {
    /// One that is about to be made.
    New(Key),
    /// One that stands there.
    Standing(Id),
}

/// Changes of one asset, to be sent as one element.
pub(super) struct Draft {
    /// Numbers of the writes that it is for.
    pub(super) numbers: BTreeSet<usize>,
    /// Its type.
    pub(super) type_id: Id,
    /// As it was shown; `None` of one that is about to be made.
    asset: Option<Asset>,
    /// Fields to write, by id; empty ones are emptied.
    values: BTreeMap<Id, String>,
    members: Map<String, Value>,
    note: Note,
    has_other_note: bool,
    /// Whether it is ours, or becomes so.
    is_ours: bool,
    above: BTreeMap<Id, i32>,
    no_longer_above: BTreeSet<Id>,
    pub(super) sent: BTreeMap<String, Value>,
    pub(super) left: BTreeMap<String, String>,
    /// Why it cannot be sent.
    pub(super) flaw: Option<TargetError>,
}

impl Draft {
    pub(super) fn new(type_id: Id) -> Self {
        Self {
            numbers: BTreeSet::new(),
            type_id,
            asset: None,
            values: BTreeMap::new(),
            members: Map::new(),
            note: Note::default(),
            has_other_note: false,
            is_ours: true,
            above: BTreeMap::new(),
            no_longer_above: BTreeSet::new(),
            sent: BTreeMap::new(),
            left: BTreeMap::new(),
            flaw: None,
        }
    }

    /// Marks it as no longer in use, or as in use again.
    pub(super) fn set_inactive(&mut self, inactive: bool) {
        self.members.insert("inactive".to_owned(), json!(inactive));
    }

    /// Takes it from below another, as an edge of this type. What people put it below stays.
    pub(super) fn take_edge(&mut self, relation: &str, parent: Id) {
        let is_noted = self.note.take(relation, parent);
        self.has_other_note |= is_noted;
        // What no note can be put on holds what was delivered there, and an edge of another type may need the same pair.
        if (is_noted || !self.is_ours) && !self.note.is_below(parent) {
            self.above.remove(&parent);
            self.no_longer_above.insert(parent);
        }
    }

    /// Takes it from below an asset, whatever the edges are.
    pub(super) fn take_parent(&mut self, parent: Id) {
        for relation in self.note.parents.keys().cloned().collect::<Vec<_>>() {
            self.take_edge(&relation, parent);
        }
    }

    /// Takes it from below all that we put it below.
    pub(super) fn take_all_parents(&mut self) {
        for parent in self.note.all_parents() {
            self.take_parent(parent);
        }
    }

    /// Whether it is ours, or becomes so.
    pub(super) const fn is_ours(&self) -> bool {
        self.is_ours
    }

    /// What HaloITSM's own AWS integration knows it by.
    pub(super) fn aws_id(&self) -> Option<String> {
        self.asset.as_ref()?.aws_id().map(str::to_owned)
    }

    /// The tag that is written by it, where it makes an asset.
    pub(super) fn made_tag(&self) -> Option<&str> {
        if self.asset.is_some() { None } else { self.members.get("inventory_number").and_then(Value::as_str) }
    }
}

impl Batch<'_> {
    pub(super) fn draft_of(&self, asset: &Asset) -> Option<Draft> {
        let draft = Draft::new(asset.assettype_id?);
        let is_ours = self.reader.carried(asset).estate.is_some();
        Some(Draft { asset: Some(asset.clone()), note: self.reader.note(asset), is_ours, ..draft })
    }

    fn type_of(&self, draft: &Draft) -> Result<&AssetType, TargetError> {
        let found = self.reader.schema.types.get(&draft.type_id);
        found.ok_or_else(|| self.rejected(format!("its asset type {} is not known, or may not be seen", draft.type_id)))
    }

    /// Puts in fields.
    pub(super) fn put_fields(&self, draft: &mut Draft, write: &Write, fields: &BTreeMap<String, Value>) -> Result<(), TargetError> {
        let asset_type = self.type_of(draft)?;
        for (name, value) in fields {
            let shape = self.reader.mapping.sheet().field(write.kind, name).map(|field| field.shape).unwrap_or_default();
            if shape == FieldShape::Status {
                let wanted = written(value).unwrap_or_default();
                match self.reader.schema.status(&wanted).filter(|status| asset_type.allows(*status)) {
                    Some(status) => drop(draft.members.insert("status_id".to_owned(), json!(status))),
                    None => drop(draft.left.insert(name.clone(), self.no_status(&wanted, asset_type))),
                }
                continue;
            }
            match asset_type.field(name) {
                Some(field) if field.is_plain => drop(draft.values.insert(field.id, written(value).unwrap_or_default())),
                Some(_) => drop(draft.left.insert(name.clone(), format!("field `{name}` takes values of a list or dates, and no text"))),
                None => {
                    draft.sent.insert(name.clone(), Value::Null);
                    draft.left.insert(name.clone(), format!("type `{}` has no such field: `dewpoint bootstrap` adds it", asset_type.name));
                }
            }
        }
        Ok(())
    }

    fn no_status(&self, wanted: &str, asset_type: &AssetType) -> String {
        match &self.reader.schema.statuses {
            None => "statuses of assets cannot be told from those of tickets, or may not be read".to_owned(),
            Some(_) if self.reader.schema.status(wanted).is_some() => {
                format!("type `{}` does not allow status `{wanted}`", asset_type.name)
            }
            Some(_) => format!("there is no status `{wanted}` of assets"),
        }
    }

    /// Marks the asset as ours, and as this write's.
    pub(super) fn put_marks(&self, draft: &mut Draft, write: &Write) -> Result<(), TargetError> {
        let key = write.key.as_str();
        if !fits(key) {
            return Err(self.rejected("its key does not fit into a field".to_owned()));
        }
        for (mark, text) in [(KEY, key), (ESTATE, self.sending.estate.0.as_str())] {
            let id = self.mark(draft, mark)?;
            draft.values.insert(id, text.to_owned());
        }
        let tag = tag(&write.key);
        if draft.asset.as_ref().is_none_or(|asset| folded(asset.tag()) != folded(&tag)) {
            draft.members.insert("inventory_number".to_owned(), json!(tag));
        }
        draft.is_ours = true;
        if draft.note.kind != Some(write.kind) {
            draft.note.kind = Some(write.kind);
            draft.has_other_note = true;
        }
        Ok(())
    }

    fn mark(&self, draft: &Draft, mark: &str) -> Result<Id, TargetError> {
        let asset_type = self.type_of(draft)?;
        let field = asset_type.field(mark).filter(|field| field.is_plain);
        field.map(|field| field.id).ok_or_else(|| {
            let name = &asset_type.name;
            self.rejected(format!("type `{name}` has no text field `{mark}`: add it, or give the asset one of our types"))
        })
    }

    /// Puts it below another, as an edge of this type.
    pub(super) fn put_edge(&self, draft: &mut Draft, relation: &str, parent: Id, name: Option<Id>) -> Result<(), TargetError> {
        if draft.is_ours && draft.note.parents.entry(relation.to_owned()).or_default().insert(parent) {
            let text = self.note_text(&draft.note)?;
            if !fits(&text) {
                draft.note.take(relation, parent);
                return Err(self.rejected("it is below too many others: what is noted of them does not fit into a field".to_owned()));
            }
            draft.has_other_note = true;
        }
        draft.no_longer_above.remove(&parent);
        draft.above.insert(parent, name.map_or(0, |name| name.0));
        Ok(())
    }

    fn note_text(&self, note: &Note) -> Result<String, TargetError> {
        serde_json::to_string(note).map_err(|error| self.rejected(error.to_string()))
    }

    /// All that is to be sent; `None` where nothing would change.
    ///
    /// Some tenants empty the fields that an update does not name, others leave them: so what stands in others is sent along, and what is to be empty is
    /// sent as empty.
    pub(super) fn element(&self, draft: &Draft) -> Result<Option<Value>, TargetError> {
        if let Some(flaw) = &draft.flaw {
            return Err(flaw.clone());
        }
        let mut values = draft.values.clone();
        if draft.is_ours && (draft.has_other_note || !values.is_empty() || !draft.members.is_empty()) {
            values.insert(self.mark(draft, DATA)?, self.note_text(&draft.note)?);
            values.insert(self.mark(draft, DELIVERED_AT)?, self.sending.at.to_string());
        }
        let shown = draft.asset.as_ref().map(Asset::values).unwrap_or_default();
        let has_other_values = values.iter().any(|(id, value)| shown.get(id).map_or("", String::as_str) != value);
        let mut element = draft.members.clone();
        if let Some(asset) = &draft.asset {
            element.retain(|name, value| match name.as_str() {
                "inactive" => *value != json!(asset.is_inactive()),
                "status_id" => {
                    asset.status().and_then(|status| self.reader.schema.status(status)).is_none_or(|status| *value != json!(status))
                }
                _ => true,
            });
            if element.is_empty() && !has_other_values && draft.above.is_empty() && draft.no_longer_above.is_empty() {
                return Ok(None);
            }
            element.insert("id".to_owned(), json!(asset.id));
        } else {
            element.insert("assettype_id".to_owned(), json!(draft.type_id));
            element.insert("site_id".to_owned(), json!(self.reader.schema.site));
            element.insert("inactive".to_owned(), json!(false));
            element.insert("isassetdetails".to_owned(), json!(true));
            element.insert("do_not_apply_template_in_the_api".to_owned(), json!(true));
        }
        if has_other_values {
            let whole: BTreeMap<Id, String> = shown.into_iter().chain(values).collect();
            let fields: Vec<Value> = whole.into_iter().map(|(id, value)| json!({ "id": id, "value": value })).collect();
            element.insert("fields".to_owned(), Value::Array(fields));
            element.insert("_dontaddnewfields".to_owned(), json!(true));
        }
        if !draft.above.is_empty() {
            let parents: Vec<Value> = draft.above.iter().map(|(id, name)| json!({ "id": id, "relationship_id": name })).collect();
            element.insert("add_parent_assets".to_owned(), Value::Array(parents));
        }
        if !draft.no_longer_above.is_empty() {
            let parents: Vec<Value> = draft.no_longer_above.iter().map(|id| json!({ "id": id })).collect();
            element.insert("delete_parent_assets".to_owned(), Value::Array(parents));
        }
        Ok(Some(Value::Object(element)))
    }
}
