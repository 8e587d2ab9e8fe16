//! What one asset becomes.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_core::model::Key;
use dewpoint_core::target::{Authority, Operation, TargetError, Write};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Batch;
use crate::asset::{Asset, Id, Note, Noted, Way};
use crate::mapping::{DATA, DELIVERED_AT, ESTATE, KEY};
use crate::reading::written;
use crate::resolver::Owner;
use crate::schema::AssetType;
use crate::shape::{FieldShape, fits};
use crate::tag::{folded, tag};

use super::RELATIONSHIPS;

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
    pub(super) values: BTreeMap<Id, String>,
    /// Names of those that the write gave.
    pub(super) names: BTreeMap<Id, String>,
    /// Who gets a part in it, with the field's name that the write gave.
    pub(super) owners: BTreeMap<Owner, (String, Option<Id>)>,
    members: Map<String, Value>,
    /// What is noted on it.
    note: Note,
    /// Whether what was noted on it cannot be read.
    is_unreadable: bool,
    has_other_note: bool,
    /// Whether it is ours, or becomes so.
    is_ours: bool,
    /// What it is put below and above, with the relationship's name.
    added: BTreeMap<(Way, Id), i32>,
    removed: BTreeSet<(Way, Id)>,
    pub(super) sent: BTreeMap<String, Value>,
    pub(super) left: BTreeMap<String, String>,
    /// Whether only the time is written at which its resource was seen.
    is_sighting: bool,
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
            names: BTreeMap::new(),
            owners: BTreeMap::new(),
            members: Map::new(),
            note: Note::default(),
            is_unreadable: false,
            has_other_note: false,
            is_ours: true,
            added: BTreeMap::new(),
            removed: BTreeSet::new(),
            sent: BTreeMap::new(),
            left: BTreeMap::new(),
            is_sighting: false,
            flaw: None,
        }
    }

    /// Marks it as no longer in use, or as in use again.
    pub(super) fn set_inactive(&mut self, inactive: bool) {
        self.members.insert("inactive".to_owned(), json!(inactive));
    }

    /// Whether it is to be marked as no longer in use, or as in use again.
    pub(super) fn inactive(&self) -> Option<bool> {
        self.members.get("inactive").and_then(Value::as_bool)
    }

    /// The status that it is to have.
    pub(super) fn status(&self) -> Option<Id> {
        self.members.get("status_id").and_then(Id::of)
    }

    /// Takes an edge of this type between it and another asset away. What people related stays.
    pub(super) fn take_edge(&mut self, way: Way, relation: &str, other: Id) {
        let taken = self.note.take(way, relation, other);
        self.has_other_note |= taken.is_some();
        let is_held = self.note.holds(way, other);
        // Where people emptied what was noted, what the ledger knows to be delivered is all that is known.
        if taken.unwrap_or(self.note.was_lost && !is_held) {
            self.added.remove(&(way, other));
            self.removed.insert((way, other));
        } else if self.note.was_lost && !is_held {
            self.leave_relationships();
        }
    }

    fn leave_relationships(&mut self) {
        let why = format!("field `{DATA}` was emptied once: nothing tells which of them are ours");
        self.left.insert(RELATIONSHIPS.to_owned(), why);
    }

    /// Takes all edges between it and another asset away.
    pub(super) fn take_asset(&mut self, way: Way, other: Id) {
        for relation in self.note.relations(way, other) {
            self.take_edge(way, &relation, other);
        }
    }

    /// Takes all edges away that are noted on it. `parents` are all that it is below; `is_above_others` says that it is above what is not ours.
    pub(super) fn take_all(&mut self, parents: Option<&BTreeSet<Id>>, is_above_others: bool) {
        for way in [Way::Below, Way::Above] {
            for other in self.note.all(way) {
                self.take_asset(way, other);
            }
        }
        let is_below_others = parents.into_iter().flatten().any(|parent| !self.removed.contains(&(Way::Below, *parent)));
        if self.note.was_lost && (is_above_others || is_below_others) {
            self.leave_relationships();
        }
    }

    /// Whether it is ours, or becomes so.
    pub(super) const fn is_ours(&self) -> bool {
        self.is_ours
    }

    /// Whether what is noted on it cannot be read.
    pub(super) const fn is_unreadable(&self) -> bool {
        self.is_unreadable
    }

    /// What was there of a field.
    fn shown(&self, field: Id) -> Option<String> {
        self.asset.as_ref()?.value(field)
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
        let noted = self.reader.noted(asset);
        let was_emptied = noted == Noted::Nothing && is_ours;
        let note = noted.note();
        let is_unreadable = note.is_none();
        let mut note = note.unwrap_or_default();
        note.was_lost |= was_emptied;
        Some(Draft { asset: Some(asset.clone()), note, is_unreadable, is_ours, ..draft })
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
            if let Some(owner) = shape.owner() {
                self.put_owner(draft, write, name, value, owner);
                continue;
            }
            let shown = asset_type.field(name).and_then(|field| draft.shown(field.id));
            if let Some(why) = self.filled_by_people(write, name, written(value), shown, written) {
                draft.left.insert(name.clone(), why);
                continue;
            }
            match asset_type.field(name) {
                Some(field) if field.is_plain => {
                    draft.names.insert(field.id, name.clone());
                    draft.values.insert(field.id, written(value).unwrap_or_default());
                }
                Some(_) => drop(draft.left.insert(name.clone(), format!("field `{name}` takes values of a list or dates, and no text"))),
                None => {
                    draft.sent.insert(name.clone(), Value::Null);
                    draft.left.insert(name.clone(), format!("type `{}` has no such field: `dewpoint bootstrap` adds it", asset_type.name));
                }
            }
        }
        Ok(())
    }

    /// Puts in who has a part in the asset; `null` takes it from whoever has it.
    fn put_owner(&self, draft: &mut Draft, write: &Write, name: &str, value: &Value, owner: Owner) {
        let resolved = |value: &Value| written(value).map(|text| self.reader.resolver.get(owner, &text)).transpose();
        let id = match resolved(value) {
            Ok(id) => id,
            Err(why) => return drop(draft.left.insert(name.to_owned(), why)),
        };
        let text = |id: Option<Id>| id.map(|id| id.to_string());
        let shown = text(draft.asset.as_ref().and_then(|asset| asset.owner(owner)));
        // It was shown as an id, or is known as what was wanted.
        let known = |value: &Value| resolved(value).map_or_else(|_| written(value), text);
        if let Some(why) = self.filled_by_people(write, name, text(id), shown, known) {
            draft.left.insert(name.to_owned(), why);
            return;
        }
        draft.members.insert(owner.member().to_owned(), json!(id.unwrap_or(owner.nobody())));
        draft.sent.insert(name.to_owned(), json!(text(id)));
        draft.owners.insert(owner, (name.to_owned(), id));
    }

    /// Why a field is people's by now: what was planned rests on what it showed before, which `known` reads.
    fn filled_by_people(
        &self,
        write: &Write,
        name: &str,
        wanted: Option<String>,
        shown: Option<String>,
        known: impl Fn(&Value) -> Option<String>,
    ) -> Option<String> {
        let wanted = wanted?;
        let shown = shown.filter(|shown| *shown != wanted)?;
        let standard = self.reader.mapping.sheet().field(write.kind, name).map(|field| field.authority);
        let authority = self.authority.get(name).copied().or(standard)?;
        let is_peoples = match (&write.operation, authority) {
            (_, Authority::IfEmpty) | (Operation::Create { .. }, Authority::Initial | Authority::Report) => true,
            (_, Authority::Owned | Authority::Initial | Authority::Report | Authority::Transition) => false,
        };
        let is_known = match &write.operation {
            Operation::Update { before, .. } => before.get(name).and_then(known).is_some_and(|before| before == shown),
            _ => false,
        };
        (is_peoples && !is_known).then(|| format!("`{}` stands there already", shown.chars().take(40).collect::<String>()))
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

    /// Marks the asset as ours, and as this write's. A tag that people gave it stays, and is noted.
    pub(super) fn put_marks(&self, draft: &mut Draft, write: &Write) -> Result<(), TargetError> {
        let key = write.key.as_str();
        let tag = tag(&write.key);
        let takes_over = matches!(write.operation, Operation::Update { take_over: true, .. });
        let was_ours = draft.is_ours;
        let (is_tagged, peoples) = draft.asset.as_ref().map_or((false, None), |asset| {
            let shown = asset.tag().trim();
            let is_of_key = folded(shown) == folded(&tag);
            let is_kept = draft.note.tag.as_deref().is_some_and(|kept| folded(kept) == folded(shown));
            // What stands there may be the tag of what it stood for before.
            let is_of_other_key = self.reader.carried(asset).key.is_some_and(|key| folded(shown) == folded(&crate::tag::tag(&key)));
            // Nothing tells where a note was emptied or edited.
            let may_be_kept = takes_over || draft.note.tag.is_some() || draft.note.was_lost || draft.is_unreadable;
            let is_peoples = !shown.is_empty() && !is_of_key && !is_of_other_key && may_be_kept;
            (is_of_key || is_kept, is_peoples.then(|| shown.to_owned()))
        });
        if draft.asset.is_some() && (!was_ours || takes_over && !is_tagged) {
            // It came with what the asset was copied from, or somebody else left it.
            draft.note = Note::default();
            draft.has_other_note = true;
        }
        if draft.note.tag != peoples {
            draft.note.tag.clone_from(&peoples);
            draft.has_other_note = true;
        }
        if !fits(key) {
            return Err(self.rejected("its key does not fit into a field".to_owned()));
        }
        for (mark, text) in [(KEY, key), (ESTATE, self.sending.estate.0.as_str())] {
            let id = self.mark(draft, mark)?;
            draft.values.insert(id, text.to_owned());
        }
        if !is_tagged && peoples.is_none() {
            draft.members.insert("inventory_number".to_owned(), json!(tag));
        }
        draft.is_ours = true;
        if draft.note.kind != Some(write.kind) {
            draft.note.kind = Some(write.kind);
            draft.has_other_note = true;
        }
        Ok(())
    }

    /// Notes when its resource was seen, and nothing else. What was written since then is known to be later.
    pub(super) fn put_sighting(&self, draft: &mut Draft, seen_at: Timestamp) -> Result<(), TargetError> {
        let mark = self.mark(draft, DELIVERED_AT)?;
        let noted = draft.shown(mark).and_then(|text| text.parse::<Timestamp>().ok());
        if noted.is_none_or(|noted| noted < seen_at) {
            draft.values.insert(mark, seen_at.to_string());
        }
        draft.is_sighting = true;
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

    /// Why what is noted on it cannot be changed.
    pub(super) fn unreadable(&self, draft: &Draft) -> Option<TargetError> {
        let why = || {
            let id = draft.asset.as_ref().map(|asset| asset.id.to_string()).unwrap_or_default();
            let text = format!("what is noted in field `{DATA}` of asset {id}, which tells our relationships, cannot be read");
            self.rejected(format!("{text}: put back what stood there, or empty the field"))
        };
        (draft.is_ours && draft.is_unreadable()).then(why)
    }

    /// Puts in an edge of this type between it and another asset. `was_found` says that people have related the two.
    pub(super) fn put_edge(
        &self,
        draft: &mut Draft,
        (way, other): (Way, Id),
        relation: &str,
        name: Option<Id>,
        was_found: bool,
    ) -> Result<(), TargetError> {
        if let Some(error) = self.unreadable(draft) {
            return Err(error);
        }
        if draft.is_ours && draft.note.put(way, relation, other, was_found) {
            if !fits(&self.note_text(&draft.note)?) {
                draft.note.take(way, relation, other);
                return Err(self.rejected("it is related to too many others: what is noted of them does not fit into a field".to_owned()));
            }
            draft.has_other_note = true;
        }
        draft.removed.remove(&(way, other));
        // What people drew keeps the name that they gave it.
        if !was_found {
            draft.added.insert((way, other), name.map_or(0, |name| name.0));
        }
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
        if draft.is_ours && !draft.is_sighting && (draft.has_other_note || !values.is_empty() || !draft.members.is_empty()) {
            // What cannot be read may be mended yet.
            if !draft.is_unreadable() {
                let text = self.note_text(&draft.note)?;
                if !fits(&text) {
                    return Err(self.rejected("what is noted of it does not fit into a field".to_owned()));
                }
                values.insert(self.mark(draft, DATA)?, text);
            }
            values.insert(self.mark(draft, DELIVERED_AT)?, self.sending.at.to_string());
        }
        let shown = draft.asset.as_ref().map(Asset::values).unwrap_or_default();
        let has_other_values = values.iter().any(|(id, value)| shown.get(id).map_or("", String::as_str) != value);
        let mut element = draft.members.clone();
        if let Some(asset) = &draft.asset {
            element.retain(|name, value| match name.as_str() {
                "inactive" => *value != json!(asset.is_inactive()),
                name if let Some(owner) = Owner::of(name) => {
                    asset.shown_owner(owner).is_none_or(|shown| *value != json!(shown.unwrap_or(owner.nobody())))
                }
                "status_id" => {
                    asset.status().and_then(|status| self.reader.schema.status(status)).is_none_or(|status| *value != json!(status))
                }
                _ => true,
            });
            if element.is_empty() && !has_other_values && draft.added.is_empty() && draft.removed.is_empty() {
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
        for (way, [adds, removes]) in LISTS {
            let is_its = |found: Way| found == way;
            let added = draft.added.iter().filter(|((way, _), _)| is_its(*way));
            let added: Vec<Value> = added.map(|((_, id), name)| json!({ "id": id, "relationship_id": name })).collect();
            let removed: Vec<Value> = draft.removed.iter().filter(|(way, _)| is_its(*way)).map(|(_, id)| json!({ "id": id })).collect();
            for (list, rows) in [(adds, added), (removes, removed)] {
                if !rows.is_empty() {
                    element.insert(list.to_owned(), Value::Array(rows));
                }
            }
        }
        Ok(Some(Value::Object(element)))
    }
}

/// The members by which relationships are added and removed.
const LISTS: [(Way, [&str; 2]); 2] =
    [(Way::Below, ["add_parent_assets", "delete_parent_assets"]), (Way::Above, ["add_child_assets", "delete_child_assets"])];
