//! Makes what must be there before anything is delivered. It adds, and changes nothing that people made.
//!
//! What was made is read again: what a tenant does not take it mostly ignores.

use std::collections::BTreeMap;

use dewpoint_core::target::{Step, StepOutcome, TargetError};
use serde_json::{Value, json};

use crate::api::Api;
use crate::asset::Id;
use crate::blueprint::Blueprint;
use crate::mapping::{GROUP, KEY_FIELDS, Mapping};
use crate::schema::{AssetType, FIELD_KIND, FREE_TEXT, Named, Schema};
use crate::tag::folded;

/// Elements of one request.
const AT_ONCE: usize = 50;

/// How steps for statuses begin.
pub(crate) const STATUS: &str = "status";

/// Who has to do what, where something may not be made.
const ADMINISTRATOR: &str = "let the application act as an administrator, with the scope `all`, while this runs";

/// Goes through all that has to be there, and makes what is not.
pub(crate) async fn bootstrap(api: &Api, mapping: &Mapping, dry_run: bool) -> Result<Vec<Step>, TargetError> {
    let mut maker = Maker { api, dry_run, steps: Vec::new() };
    let made = maker.all(mapping, &Blueprint::of(mapping)).await;
    api.forget_schema();
    made?;
    Ok(maker.steps)
}

struct Maker<'a> {
    api: &'a Api,
    dry_run: bool,
    steps: Vec<Step>,
}

/// What is looked for by itself.
enum Part<'a> {
    Client,
    /// Of this client.
    Site(Id),
    Group,
    Status(&'a str),
}

impl Part<'_> {
    /// What it is, where it is made, and who has to do what where it may not be made.
    fn described(&self, api: &Api) -> (String, &'static str, &'static str) {
        match self {
            Self::Client => {
                (format!("client `{}`", api.client), "Client", "let the application edit customers, or make the client by hand")
            }
            Self::Site(_) => (format!("site `{}`", api.site), "Site", "let the application edit customers, or make the site by hand"),
            Self::Group => (format!("asset group `{GROUP}`"), "AssetGroup", ADMINISTRATOR),
            Self::Status(name) => {
                let mend = "make the status under Configuration > Asset Management, or name one that is there in `statuses`";
                (format!("{STATUS} `{name}`"), "Status", mend)
            }
        }
    }
}

impl Maker<'_> {
    async fn all(&mut self, mapping: &Mapping, blueprint: &Blueprint) -> Result<(), TargetError> {
        self.site().await?;
        let group = self.make(&Part::Group, json!({ "name": GROUP, "showasequip": true })).await?;
        self.statuses(&blueprint.statuses).await?;
        let classes = mapping.classes();
        let schema = self.api.read_schema(&classes).await?;
        self.fields(blueprint, &schema).await?;
        let schema = if self.dry_run { schema } else { self.api.read_schema(&classes).await? };
        self.types(blueprint, &schema, group).await?;
        let after = if self.dry_run { None } else { Some(self.api.read_schema(&classes).await?) };
        for (class, fields) in &blueprint.types {
            self.judge_type(class, fields, &schema, after.as_ref());
        }
        Ok(())
    }

    fn step(&mut self, what: String, outcome: StepOutcome) {
        self.steps.push(Step { what, outcome, text: None, mend: None });
    }

    fn refused(&mut self, what: String, text: impl Into<String>, mend: &str) {
        self.steps.push(Step { what, outcome: StepOutcome::Refused, text: Some(text.into()), mend: Some(mend.to_owned()) });
    }

    /// Posts parts of the configuration; why not, where they are refused.
    async fn post(&self, path: &str, elements: &[Value]) -> Result<Option<String>, TargetError> {
        for chunk in elements.chunks(AT_ONCE) {
            match self.api.configure(path, chunk).await {
                Ok(()) => {}
                Err(error @ (TargetError::Forbidden { .. } | TargetError::Rejected { .. })) => return Ok(Some(error.to_string())),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// What is there of something.
    async fn find(&self, part: &Part<'_>) -> Result<Option<Id>, TargetError> {
        let api = self.api;
        match part {
            Part::Client => api.find_client().await,
            Part::Site(client) => api.find_site(*client).await,
            Part::Group => {
                let groups: Vec<Named> = api.bare("AssetGroup", &[], "list asset groups").await?;
                // One that is there for other things is another one.
                Ok(groups.into_iter().find(|group| group.is_called(GROUP) && group.showasequip != Some(false)).map(|group| group.id))
            }
            Part::Status(name) => {
                let found = api.statuses().await?.into_iter().flatten().find(|status| status.is_called(name));
                Ok(found.map(|status| status.id))
            }
        }
    }

    /// Makes one thing where it is missing, and looks for it.
    async fn make(&mut self, part: &Part<'_>, element: Value) -> Result<Option<Id>, TargetError> {
        let (what, path, mend) = part.described(self.api);
        if let Some(found) = self.find(part).await? {
            self.step(what, StepOutcome::Present);
            return Ok(Some(found));
        }
        if self.dry_run {
            self.step(what, StepOutcome::WouldMake);
            return Ok(None);
        }
        let why = self.post(path, &[element]).await?;
        let found = self.find(part).await?;
        match &found {
            Some(_) => self.step(what, StepOutcome::Made),
            None => self.refused(what, why.unwrap_or_else(|| NOT_SHOWN.to_owned()), mend),
        }
        Ok(found)
    }

    async fn site(&mut self) -> Result<(), TargetError> {
        let api = self.api;
        if let Some(client) = self.make(&Part::Client, json!({ "name": api.client })).await? {
            self.make(&Part::Site(client), json!({ "name": api.site, "client_id": client })).await?;
        } else if self.dry_run {
            self.step(format!("site `{}`", api.site), StepOutcome::WouldMake);
        } else {
            self.refused(format!("site `{}`", api.site), "its client is missing", "mend what is refused above");
        }
        Ok(())
    }

    /// Statuses of assets and of tickets are made the same way, and told apart by a number that only lists tell: what turns out to be one of tickets is removed.
    async fn statuses(&mut self, names: &[String]) -> Result<(), TargetError> {
        let Some(all) = self.api.statuses().await? else {
            for name in names {
                self.refused(format!("{STATUS} `{name}`"), "the statuses of assets cannot be read", "give the application the scope `all`");
            }
            return Ok(());
        };
        let of_tickets = self.api.ticket_statuses().await?;
        let sort = all.first().and_then(|status| status.sort).filter(|sort| of_tickets.iter().all(|status| status.sort != Some(*sort)));
        for name in names {
            let part = Part::Status(name);
            let is_there = all.iter().any(|status| status.is_called(name));
            match sort {
                _ if is_there => self.step(part.described(self.api).0, StepOutcome::Present),
                Some(sort) => {
                    let found = self.make(&part, json!({ "name": name, "type": sort })).await?;
                    if found.is_none() && !self.dry_run {
                        self.undo_status(name, &of_tickets).await?;
                    }
                }
                None => {
                    let (what, _, mend) = part.described(self.api);
                    self.refused(what, "nothing tells how a status of assets is made", mend);
                }
            }
        }
        Ok(())
    }

    async fn undo_status(&self, name: &str, before: &[Named]) -> Result<(), TargetError> {
        let now = self.api.ticket_statuses().await?;
        let is_new = |status: &&Named| status.is_called(name) && before.iter().all(|other| other.id != status.id);
        for status in now.iter().filter(is_new) {
            self.api.unmake("Status", status.id).await?;
        }
        Ok(())
    }

    async fn fields(&mut self, blueprint: &Blueprint, schema: &Schema) -> Result<(), TargetError> {
        let missing: Vec<&String> = blueprint.fields.iter().filter(|name| !schema.fields.contains_key(&folded(name))).collect();
        let element = |name: &&String| json!({ "name": name, "kind": FIELD_KIND, "validate": FREE_TEXT });
        let mut why = None;
        let mut made = Schema::default();
        if !missing.is_empty() && !self.dry_run {
            why = self.post("Field", &missing.iter().map(element).collect::<Vec<_>>()).await?;
            made = Schema::new(Vec::new(), self.api.bare("Field", &[("kind", FIELD_KIND)], "list fields").await?);
        }
        for name in &blueprint.fields {
            let what = format!("field `{name}`");
            match (schema.fields.get(&folded(name)), made.fields.get(&folded(name))) {
                (Some(field), _) if field.is_plain => self.step(what, StepOutcome::Present),
                (Some(_), _) => {
                    self.refused(
                        what,
                        "it is there, and takes values of a list or dates",
                        "rename it, or write something else to it by `mapping`",
                    );
                }
                (None, Some(_)) => self.step(what, StepOutcome::Made),
                (None, None) if self.dry_run => self.step(what, StepOutcome::WouldMake),
                (None, None) => self.refused(what, why.clone().unwrap_or_else(|| NOT_SHOWN.to_owned()), ADMINISTRATOR),
            }
        }
        Ok(())
    }

    /// Makes types, and adds fields to those that are there.
    async fn types(&mut self, blueprint: &Blueprint, schema: &Schema, group: Option<Id>) -> Result<(), TargetError> {
        if self.dry_run {
            return Ok(());
        }
        let mut elements = Vec::new();
        for (class, fields) in &blueprint.types {
            let there = schema.type_named(class);
            let missing: Vec<&String> = fields.iter().filter(|name| there.is_none_or(|own| own.field(name).is_none())).collect();
            if missing.is_empty() {
                continue;
            }
            let row = |name: &&String| {
                let mut row = json!({ "field_id": schema.fields.get(&folded(name))?.id, "field_name": name });
                let key = KEY_FIELDS.iter().position(|key| key == name).filter(|_| there.is_none());
                if let (Some(key), Some(row)) = (key, row.as_object_mut()) {
                    row.insert("keyfield_id".to_owned(), json!((key + 1).to_string()));
                }
                Some(row)
            };
            let rows: Vec<Value> = missing.iter().filter_map(row).collect();
            match (there, group) {
                (Some(own), _) => {
                    // Those that are not sent are taken away.
                    let Some(shown) = &own.rows else {
                        let why = "it does not show the fields that it has, which would be taken from it";
                        self.refused(format!("fields of type `{class}`"), why, ADMINISTRATOR);
                        continue;
                    };
                    let rows: Vec<Value> = shown.iter().cloned().chain(rows).collect();
                    elements.push(json!({ "id": own.id, "fields": rows }));
                }
                (None, Some(group)) => elements.push(json!({
                    "name": class,
                    "assetgroup_id": group,
                    "fields": rows,
                    "allowall_status": true,
                    "show_to_users": false,
                    "linkedcontracttype": -1,
                    "fiid": -1,
                })),
                (None, None) => {}
            }
        }
        if elements.is_empty() {
            return Ok(());
        }
        if let Some(why) = self.post("AssetType", &elements).await? {
            self.refused("asset types".to_owned(), why, ADMINISTRATOR);
        }
        Ok(())
    }

    fn judge_type(&mut self, class: &str, fields: &[String], before: &Schema, after: Option<&Schema>) {
        let (before, after) = (before.type_named(class), after.map(|after| after.type_named(class)));
        let mut judge = |what: String, was_there: bool, is_there: Option<bool>| match (was_there, is_there) {
            (true, _) => self.step(what, StepOutcome::Present),
            (false, None) => self.step(what, StepOutcome::WouldMake),
            (false, Some(true)) => self.step(what, StepOutcome::Made),
            (false, Some(false)) => self.refused(what, NOT_SHOWN, ADMINISTRATOR),
        };
        judge(format!("asset type `{class}`"), before.is_some(), after.map(|own| own.is_some()));
        for name in fields {
            let has = |own: Option<&AssetType>| own.is_some_and(|own| own.field(name).is_some());
            judge(format!("field `{name}` of `{class}`"), has(before), after.map(has));
        }
    }
}

/// Why something is not there, where the tenant says nothing.
const NOT_SHOWN: &str = "it is not shown after it was made";

/// How many steps ended how.
pub(crate) fn counts(steps: &[Step]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for step in steps {
        *counts.entry(step.outcome.as_str()).or_default() += 1;
    }
    counts
}
