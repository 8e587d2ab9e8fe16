//! People write a mail address, a name or a code; an attribute wants the account of a user, a group, or the id of an object.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dewpoint_core::target::TargetError;
use dewpoint_http::Request;
use serde::Deserialize;

use crate::api::{Api, Deployment};
use crate::aql::{LISTED_MAX, Quoted, any_of};
use crate::reading::{Reader, is_id};
use crate::shape::{AttributeShape, Reference};

/// Users that a search may show: more stand for nobody.
const USERS_MAX: &str = "10";

/// What was resolved since the target was made.
#[derive(Debug, Default)]
pub(crate) struct Resolver(Mutex<Resolved>);

#[derive(Debug, Default)]
struct Resolved {
    /// `None` for what nothing, or more than one, stands for.
    known: BTreeMap<(AttributeShape, String), Option<String>>,
    /// Why a text could not be looked up: it is tried again when what stood for nothing is.
    failed: BTreeMap<(AttributeShape, String), String>,
    /// Attributes of object types by id: their ids by name.
    attributes: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct User {
    account_id: Option<String>,
    key: Option<String>,
    name: Option<String>,
    email_address: Option<String>,
    display_name: Option<String>,
    active: Option<bool>,
}

#[derive(Deserialize)]
struct Groups {
    #[serde(default)]
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    name: String,
}

impl Resolver {
    /// Whether values of a shape are resolved.
    pub(crate) const fn resolves(shape: &AttributeShape) -> bool {
        matches!(shape, AttributeShape::User | AttributeShape::Group | AttributeShape::Object(_))
    }

    /// What a text stands for, or why it stands for nothing.
    pub(crate) fn get(&self, shape: &AttributeShape, text: &str) -> Result<String, String> {
        let wanted = (shape.clone(), text.to_owned());
        let resolved = self.resolved();
        match (resolved.known.get(&wanted), resolved.failed.get(&wanted)) {
            (Some(Some(found)), _) => Ok(found.clone()),
            (None, Some(why)) => Err(format!("`{text}` could not be looked up: {why}")),
            _ => Err(nobody(shape, text)),
        }
    }

    /// Resolves what is not known yet. What may not be looked up is left, and stops nothing: people and groups are often shown in part only, or need a right
    /// that objects do not.
    ///
    /// # Errors
    /// Where there is no answer: another time there may be.
    pub(crate) async fn resolve(&self, reader: &Reader<'_>, wanted: BTreeSet<(AttributeShape, String)>) -> Result<(), TargetError> {
        let mut objects: BTreeMap<Reference, Vec<String>> = BTreeMap::new();
        for (shape, text) in wanted {
            let wanted = (shape, text);
            let is_known = {
                let resolved = self.resolved();
                resolved.known.contains_key(&wanted) || resolved.failed.contains_key(&wanted)
            };
            if is_known {
                continue;
            }
            let (shape, text) = wanted;
            let found = match &shape {
                AttributeShape::User => user(reader.api, &text).await,
                AttributeShape::Group => group(reader.api, &text).await,
                AttributeShape::Object(reference) => {
                    objects.entry(reference.clone()).or_default().push(text);
                    continue;
                }
                _ => continue,
            };
            self.learn(shape, text, found)?;
        }
        for (reference, texts) in objects {
            let found = self.look_up(reader, &reference, &texts).await;
            for text in texts {
                let id = found.as_ref().map(|found| found.get(&text).cloned()).map_err(Clone::clone);
                self.learn(AttributeShape::Object(reference.clone()), text, id)?;
            }
        }
        Ok(())
    }

    /// Forgets what stood for nothing, so that it is asked for again.
    pub(crate) fn forget_nothing(&self) {
        let mut resolved = self.resolved();
        resolved.known.retain(|_, found| found.is_some());
        resolved.failed.clear();
    }

    fn resolved(&self) -> MutexGuard<'_, Resolved> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn learn(&self, shape: AttributeShape, text: String, found: Result<Option<String>, TargetError>) -> Result<(), TargetError> {
        let mut resolved = self.resolved();
        match found {
            Ok(found) => {
                resolved.failed.remove(&(shape.clone(), text.clone()));
                resolved.known.insert((shape, text), found);
            }
            Err(error @ (TargetError::Unreachable { .. } | TargetError::Busy { .. } | TargetError::Abandoned { .. })) => return Err(error),
            Err(error) => drop(resolved.failed.insert((shape, text), error.to_string())),
        }
        Ok(())
    }

    /// Ids of the only objects that have these texts in one of the attributes, by text; the first attribute that has one decides. One that has it letter by letter
    /// goes before those that have it in another case.
    async fn look_up(&self, reader: &Reader<'_>, reference: &Reference, texts: &[String]) -> Result<BTreeMap<String, String>, TargetError> {
        let mut found: BTreeMap<String, String> = BTreeMap::new();
        let mut ambiguous: BTreeSet<&String> = BTreeSet::new();
        for attribute in &reference.by {
            let open: Vec<&String> = texts.iter().filter(|text| !found.contains_key(*text) && !ambiguous.contains(text)).collect();
            for chunk in open.chunks(LISTED_MAX) {
                let values = any_of(attribute, chunk.iter().map(|text| text.as_str()));
                let query = format!("objectType = {} AND {values}", Quoted(&reference.object_type));
                let objects = reader.api.search(&query).await?;
                let mut shown: Vec<(String, String)> = Vec::new();
                for object in &objects {
                    let Some(id) = self.attribute(reader.api, &object.object_type.id.0, attribute).await? else { continue };
                    shown.extend(object.values(&id).iter().filter_map(|value| Some((value.value.clone()?, object.id.0.clone()))));
                }
                for text in chunk {
                    let ids = |is_it: &dyn Fn(&str) -> bool| -> BTreeSet<&String> {
                        shown.iter().filter(|(shown, _)| is_it(shown)).map(|(_, id)| id).collect()
                    };
                    let exact = ids(&|shown| shown == text.as_str());
                    let ids = if exact.is_empty() { ids(&|shown| shown.to_lowercase() == text.to_lowercase()) } else { exact };
                    match (ids.len(), ids.first()) {
                        (1, Some(id)) if is_id(id) => drop(found.insert((*text).clone(), (*id).clone())),
                        (0, _) => {}
                        _ => drop(ambiguous.insert(text)),
                    }
                }
            }
        }
        Ok(found)
    }

    /// Id of a type's attribute.
    async fn attribute(&self, api: &Api, type_id: &str, name: &str) -> Result<Option<String>, TargetError> {
        if !self.resolved().attributes.contains_key(type_id) {
            let ids = api.attributes_of(type_id).await?.into_iter().map(|own| (own.name.to_lowercase(), own.id.0)).collect();
            self.resolved().attributes.insert(type_id.to_owned(), ids);
        }
        Ok(self.resolved().attributes.get(type_id).and_then(|ids| ids.get(&name.to_lowercase()).cloned()))
    }
}

/// Why a text stands for nothing.
fn nobody(shape: &AttributeShape, text: &str) -> String {
    match shape {
        AttributeShape::Group => format!("no group that we may see has the name `{text}`"),
        AttributeShape::Object(Reference { object_type, by }) => {
            format!("no object of type `{object_type}`, or more than one, has {} `{text}`", by.join(" or "))
        }
        _ => format!("no user that we may see, or more than one, is `{text}`"),
    }
}

/// The account of the only active user with this mail address, name or account id. Where mail addresses are hidden, a search by one still finds its owner.
async fn user(api: &Api, text: &str) -> Result<Option<String>, TargetError> {
    let request = match api.deployment {
        Deployment::Cloud => Request::get(&api.jira("user/search").await?).query("query", text),
        Deployment::DataCenter => Request::get(&api.jira("user/search").await?).query("username", text),
    };
    let request = request.query("maxResults", USERS_MAX).operation("users");
    let users: Vec<User> = api.jira_caller().get(request, "look up a user").await?;
    let users: Vec<User> = users.into_iter().filter(|user| user.active != Some(false)).collect();
    let same = |own: &Option<String>| own.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(text));
    let is_it = |user: &&User| [&user.account_id, &user.key, &user.name, &user.email_address, &user.display_name].into_iter().any(same);
    let exact: Vec<&User> = users.iter().filter(is_it).collect();
    let only = match (exact.as_slice(), users.as_slice()) {
        ([only], _) => Some(*only),
        ([], [only]) if only.email_address.as_deref().is_none_or(str::is_empty) && text.contains('@') => Some(only),
        _ => None,
    };
    Ok(only.and_then(|user| match api.deployment {
        Deployment::Cloud => user.account_id.clone(),
        Deployment::DataCenter => user.key.clone().or_else(|| user.name.clone()),
    }))
}

/// The name of a group, as Jira spells it.
async fn group(api: &Api, text: &str) -> Result<Option<String>, TargetError> {
    let request = Request::get(&api.jira("groups/picker").await?).query("query", text).operation("groups");
    let found: Groups = api.jira_caller().get(request, "look up a group").await?;
    Ok(found.groups.into_iter().map(|group| group.name).find(|name| name.eq_ignore_ascii_case(text)))
}
