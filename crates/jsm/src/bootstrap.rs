//! Makes what must be there before anything is delivered. It adds, and changes nothing that people made.

use std::collections::BTreeMap;

use dewpoint_core::target::{Step, StepOutcome, TargetError};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::{Api, Deployment};
use crate::blueprint::{Blueprint, Part, Type, form, named};
use crate::mapping::{Mapping, NAME, PARENT_TYPE};
use crate::object::Id;
use crate::schema::{Attribute, Schema};
use crate::shape::AttributeShape;

/// Name of the type of our references.
const REFERENCE_TYPE: &str = "Cloud relation";

/// Who has to mend an attribute whose values have to be different.
const COMMON_NAMES: &str = "an Assets administrator takes `unique` from the attribute: several resources may have the same value";

/// What an answer to something made holds of it.
#[derive(Deserialize)]
struct Made {
    id: Id,
}

/// Goes through all that has to be there, and makes what is not.
pub(crate) async fn bootstrap(api: &Api, mapping: &Mapping, dry_run: bool) -> Result<Vec<Step>, TargetError> {
    let blueprint = Blueprint::of(mapping);
    let mut maker = Maker { api, dry_run, steps: Vec::new(), schema: api.read_schema().await? };
    let made = maker.all(&blueprint).await;
    api.forget_schema();
    made?;
    Ok(maker.steps)
}

struct Maker<'a> {
    api: &'a Api,
    dry_run: bool,
    steps: Vec<Step>,
    /// The schema as it was, and what was made since; `None` where it is not there.
    schema: Option<Schema>,
}

/// What became of something that has to be there.
enum Outcome {
    Made(String),
    WouldMake,
    Refused,
}

impl Maker<'_> {
    async fn all(&mut self, blueprint: &Blueprint) -> Result<(), TargetError> {
        for (class, name, one, other) in &blueprint.conflicts {
            let text = format!("the mapping wants it as {} and as {}", named(*one), named(*other));
            self.refused(
                format!("attribute `{name}` of `{class}`"),
                text,
                "give it one `type` in all kinds of this class, or another name",
            );
        }
        let what = format!("schema `{}`", self.api.schema_key);
        let schema = match self.schema.as_ref().map(|schema| schema.id.clone()) {
            Some(id) => {
                self.present(what);
                Some(id)
            }
            None => self.make_schema(what).await?,
        };
        if schema.is_none() && !self.dry_run {
            return Ok(());
        }
        let statuses = self.statuses(blueprint, schema.as_deref()).await?;
        let mut ids: BTreeMap<String, String> =
            self.schema.iter().flat_map(|schema| &schema.types).map(|(name, own)| (name.clone(), own.id.clone())).collect();
        let (icons, reference_type) = self.given().await?;
        let parent = Type { icon: "Cloud", parts: blueprint.common.clone() };
        self.make_type(PARENT_TYPE, &parent, schema.as_deref(), &icons, &mut ids).await?;
        for (name, own) in &blueprint.types {
            self.make_type(name, own, schema.as_deref(), &icons, &mut ids).await?;
        }
        self.attributes(PARENT_TYPE, &blueprint.common, &ids, &statuses, reference_type.as_deref()).await?;
        for (name, own) in &blueprint.types {
            let mut parts = own.parts.clone();
            if !self.inherits(name) {
                parts.extend(blueprint.common.clone());
            }
            self.judge_place(name);
            self.attributes(name, &parts, &ids, &statuses, reference_type.as_deref()).await?;
        }
        Ok(())
    }

    fn step(&mut self, what: String, outcome: StepOutcome) {
        self.steps.push(Step { what, outcome, text: None, mend: None });
    }

    fn present(&mut self, what: String) {
        self.step(what, StepOutcome::Present);
    }

    fn refused(&mut self, what: String, text: String, mend: &str) {
        self.steps.push(Step { what, outcome: StepOutcome::Refused, text: Some(text), mend: Some(mend.to_owned()) });
    }

    /// Makes something; a refusal is a step of its own.
    async fn make(&mut self, what: String, path: &str, body: Value, mend: &str) -> Result<Outcome, TargetError> {
        if self.dry_run {
            self.step(what, StepOutcome::WouldMake);
            return Ok(Outcome::WouldMake);
        }
        match self.api.configure::<Made>(path, &body, "make part of the schema").await {
            Ok(Made { id: Id(id) }) => {
                self.step(what, StepOutcome::Made);
                Ok(Outcome::Made(id))
            }
            Err(error @ (TargetError::Forbidden { .. } | TargetError::Rejected { .. })) => {
                self.refused(what, error.to_string(), mend);
                Ok(Outcome::Refused)
            }
            Err(error) => Err(error),
        }
    }

    async fn make_schema(&mut self, what: String) -> Result<Option<String>, TargetError> {
        let key = &self.api.schema_key;
        let body = json!({ "name": format!("Cloud inventory ({key})"), "objectSchemaKey": key, "description": "Kept by Dewpoint" });
        let mend = "an Assets administrator makes the schema, with this key, and gives this user the role of its manager";
        Ok(match self.make(what, "/objectschema/create", body, mend).await? {
            Outcome::Made(id) => Some(id),
            Outcome::WouldMake | Outcome::Refused => None,
        })
    }

    /// Ids of statuses, by name.
    async fn statuses(&mut self, blueprint: &Blueprint, schema: Option<&str>) -> Result<BTreeMap<String, String>, TargetError> {
        let mut ids = self.schema.as_ref().map(|schema| schema.statuses.clone()).unwrap_or_default();
        for (name, category) in &blueprint.statuses {
            let what = format!("status `{name}`");
            if ids.contains_key(name) {
                self.present(what);
                continue;
            }
            let schema = schema.map(|id| self.api.id_value(id));
            let body = json!({ "name": name, "description": "", "category": category, "objectSchemaId": schema });
            let mend = "give this user the role Object Schema Manager";
            if let Outcome::Made(id) = self.make(what, "/config/statustype", body, mend).await? {
                ids.insert(name.clone(), id);
            }
        }
        Ok(ids)
    }

    /// Icons, and the id of the type that our references have.
    async fn given(&mut self) -> Result<(BTreeMap<String, Id>, Option<String>), TargetError> {
        let icons = self.api.icons().await?;
        let what = format!("reference type `{REFERENCE_TYPE}`");
        if let Some(Id(id)) = self.api.reference_types().await?.remove(REFERENCE_TYPE) {
            self.present(what);
            return Ok((icons, Some(id)));
        }
        let body = json!({ "name": REFERENCE_TYPE, "description": "Kept by Dewpoint", "color": "#2684FF" });
        let made = self.make(what, "/config/referencetype", body, "an Assets administrator makes it").await?;
        let id = match made {
            Outcome::Made(id) => Some(id),
            Outcome::WouldMake | Outcome::Refused => None,
        };
        Ok((icons, id))
    }

    async fn make_type(
        &mut self,
        name: &str,
        own: &Type,
        schema: Option<&str>,
        icons: &BTreeMap<String, Id>,
        ids: &mut BTreeMap<String, String>,
    ) -> Result<(), TargetError> {
        let what = format!("object type `{name}`");
        if ids.contains_key(name) {
            self.present(what);
            return Ok(());
        }
        let is_parent = name == PARENT_TYPE;
        let icon = icons.get(own.icon).or_else(|| icons.values().next()).map(|icon| self.api.id_value(&icon.0));
        let mut body = json!({
            "name": name,
            "description": "Kept by Dewpoint",
            "iconId": icon,
            "objectSchemaId": schema.map(|id| self.api.id_value(id)),
            "inherited": true,
            "abstractObjectType": is_parent,
        });
        if let (Some(parent), Some(fields)) = (ids.get(PARENT_TYPE).filter(|_| !is_parent), body.as_object_mut()) {
            fields.insert("parentObjectTypeId".to_owned(), self.api.id_value(parent));
        }
        if let Outcome::Made(id) = self.make(what, "/objecttype/create", body, "give this user the role Object Schema Manager").await? {
            ids.insert(name.to_owned(), id);
        }
        Ok(())
    }

    /// Whether a type has what [`PARENT_TYPE`] has: one that we make is its child.
    fn inherits(&self, name: &str) -> bool {
        let Some(schema) = &self.schema else { return true };
        let Some(own) = schema.types.get(name) else { return true };
        schema.types.get(PARENT_TYPE).is_some_and(|parent| schema.inherits(&own.id, &parent.id))
    }

    /// Whether references that lead to records of any kind take those of a type.
    fn judge_place(&mut self, name: &str) {
        let Some(schema) = &self.schema else { return };
        let ids = schema.types.get(name).zip(schema.types.get(PARENT_TYPE));
        if ids.is_some_and(|(own, parent)| !schema.lies_in(&own.id, &parent.id)) {
            self.refused(
                format!("object type `{name}`"),
                format!("it does not lie below `{PARENT_TYPE}`: references such as `Located In` and `Attached To` do not take its objects"),
                &format!("an Assets administrator moves it below `{PARENT_TYPE}`; or leave relations to it out with `include`"),
            );
        }
    }

    async fn attributes(
        &mut self,
        of: &str,
        parts: &BTreeMap<String, Part>,
        ids: &BTreeMap<String, String>,
        statuses: &BTreeMap<String, String>,
        reference_type: Option<&str>,
    ) -> Result<(), TargetError> {
        for (name, part) in parts {
            let what = format!("attribute `{name}` of `{of}`");
            if let Some(there) = self.schema.as_ref().and_then(|schema| schema.attribute(of, name)).cloned() {
                self.judge(what, part, &there, statuses);
                continue;
            }
            let Some(type_id) = ids.get(of) else {
                // Its type would be made first.
                if self.dry_run {
                    self.step(what, StepOutcome::WouldMake);
                }
                continue;
            };
            if name == NAME && !self.dry_run {
                self.share_name(what, type_id).await?;
                continue;
            }
            let refers_to = part.refers_to.as_ref().map(|name| ids.get(name));
            if !self.dry_run && (refers_to == Some(None) || (part.form.sort == 1 && reference_type.is_none())) {
                self.refused(
                    what,
                    "the type that it refers to, or the type of the reference, is missing".to_owned(),
                    "mend what is refused above",
                );
                continue;
            }
            let body = self.attribute(name, part, refers_to.flatten().map(String::as_str), statuses, reference_type);
            let path = format!("/objecttypeattribute/{type_id}");
            self.make(what, &path, body, "give this user the role Object Schema Manager").await?;
        }
        Ok(())
    }

    /// Sees to it that several objects of a type that was just made may have one name: a type is born with the attribute, on some sites a unique one.
    async fn share_name(&mut self, what: String, type_id: &str) -> Result<(), TargetError> {
        let born = self.api.attributes_of(type_id).await?;
        if let Some(name) = born.into_iter().find(|attribute| attribute.name == NAME && attribute.unique_attribute) {
            let body = json!({
                "name": NAME,
                "label": true,
                "type": 0,
                "defaultTypeId": 0,
                "minimumCardinality": 1,
                "maximumCardinality": 1,
                "uniqueAttribute": false,
            });
            let path = format!("/objecttypeattribute/{type_id}/{}", name.id.0);
            match self.api.reconfigure(&path, &body, "make names common").await {
                Err(error @ (TargetError::Forbidden { .. } | TargetError::Rejected { .. })) => {
                    self.refused(what, error.to_string(), COMMON_NAMES);
                    return Ok(());
                }
                done => done?,
            }
        }
        self.step(what, StepOutcome::Made);
        Ok(())
    }

    /// Whether an attribute that is there will do.
    fn judge(&mut self, what: String, part: &Part, there: &Attribute, statuses: &BTreeMap<String, String>) {
        if there.form != part.form {
            let text = format!("it is there as {}, and {} is wanted", named(there.form), named(part.form));
            return self.refused(what, text, "rename it, or write something else to it by `mapping`");
        }
        if part.is_unique && !there.is_unique {
            let mend = "an Assets administrator makes it unique: nothing else keeps a repeated create from making a second object";
            return self.refused(what, "it is there and not unique".to_owned(), mend);
        }
        if there.is_unique && !part.is_unique {
            return self.refused(what, "it is unique".to_owned(), COMMON_NAMES);
        }
        if part.takes_many && !there.takes_many {
            let mend = "an Assets administrator lets it take any number of values";
            return self.refused(what, "it does not take any number of objects".to_owned(), mend);
        }
        if let Some(text) = self.other_type(part, there) {
            return self.refused(what, text, "rename it: Dewpoint makes one of its own");
        }
        let is_left_out = |id: &String| !there.statuses.is_empty() && !there.statuses.contains(id);
        if let Some((name, _)) = statuses.iter().filter(|_| part.form == form(&AttributeShape::Lifecycle)).find(|(_, id)| is_left_out(id)) {
            let mend = "an Assets administrator adds it to those that the attribute takes";
            return self.refused(what, format!("it does not take the status `{name}`"), mend);
        }
        self.present(what);
    }

    /// What is wrong where an attribute refers to objects of another type than is wanted.
    fn other_type(&self, part: &Part, there: &Attribute) -> Option<String> {
        let schema = self.schema.as_ref()?;
        let wanted = schema.types.get(part.refers_to.as_ref()?)?;
        let taken = there.refers_to.as_ref()?;
        let text = || {
            let taken = schema.name_of(taken).unwrap_or(taken);
            format!("it refers to objects of `{taken}`, and those of `{}` are wanted", part.refers_to.as_deref().unwrap_or_default())
        };
        (!schema.lies_in(&wanted.id, taken)).then(text)
    }

    fn attribute(
        &self,
        name: &str,
        part: &Part,
        refers_to: Option<&str>,
        statuses: &BTreeMap<String, String>,
        reference_type: Option<&str>,
    ) -> Value {
        let mut body = json!({
            "name": name,
            "description": part.description,
            "type": part.form.sort,
            "minimumCardinality": 0,
            "maximumCardinality": if part.takes_many { -1 } else { 1 },
            "hidden": part.is_hidden,
            "uniqueAttribute": part.is_unique,
        });
        let Some(fields) = body.as_object_mut() else { return body };
        let mut put = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
        match part.form.sort {
            0 => put("defaultTypeId", part.form.plain.into()),
            1 => {
                put("typeValue", refers_to.into());
                put("additionalValue", reference_type.into());
                put("includeChildObjectTypes", true.into());
            }
            2 => put("additionalValue", "SHOW_PROFILE".into()),
            7 => {
                let ours = statuses.values().cloned().collect::<Vec<_>>();
                put("typeValueMulti", ours.into());
            }
            _ => {}
        }
        if part.form.plain == Some(7) {
            put("additionalValue", "DISABLED".into());
        }
        body
    }
}

impl Api {
    /// An id as a body has it.
    pub(crate) fn id_value(&self, id: &str) -> Value {
        match (self.deployment, id.parse::<i64>()) {
            (Deployment::DataCenter, Ok(number)) => number.into(),
            _ => id.into(),
        }
    }
}
