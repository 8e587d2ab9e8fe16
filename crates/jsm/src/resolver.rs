//! People write a mail address, a name or a code; an attribute wants the account of a user, a group, or the id of an object.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use dewpoint_core::target::TargetError;
use dewpoint_http::Request;
use serde::Deserialize;

use crate::api::{Api, Deployment};
use crate::aql::{Quoted, any_of};
use crate::reading::{Reader, is_id};
use crate::shape::{AttributeShape, Reference};

/// Users that a search may show: more stand for nobody.
const USERS_MAX: &str = "10";

/// What was resolved since the target was made; `None` for what nothing, or more than one, stands for.
#[derive(Debug, Default)]
pub(crate) struct Resolver(Mutex<BTreeMap<(AttributeShape, String), Option<String>>>);

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

    /// What a text stands for, as far as it was resolved.
    pub(crate) fn get(&self, shape: &AttributeShape, text: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&(shape.clone(), text.to_owned())).cloned().flatten()
    }

    /// Why a text stands for nothing.
    pub(crate) fn why(shape: &AttributeShape, text: &str) -> String {
        match shape {
            AttributeShape::Group => format!("no group that we may see has the name `{text}`"),
            AttributeShape::Object(Reference { object_type, by }) => {
                format!("no object of type `{object_type}`, or more than one, has {} `{text}`", by.join(" or "))
            }
            _ => format!("no user that we may see, or more than one, is `{text}`"),
        }
    }

    /// Resolves what is not known yet. What cannot be looked up is left, and stops nothing.
    pub(crate) async fn resolve(&self, reader: &Reader<'_>, wanted: BTreeSet<(AttributeShape, String)>) -> Result<(), TargetError> {
        let mut objects: BTreeMap<Reference, Vec<String>> = BTreeMap::new();
        for (shape, text) in wanted {
            if self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&(shape.clone(), text.clone())) {
                continue;
            }
            let found = match &shape {
                AttributeShape::User => harmless(user(reader.api, &text).await)?,
                AttributeShape::Group => harmless(group(reader.api, &text).await)?,
                AttributeShape::Object(reference) => {
                    objects.entry(reference.clone()).or_default().push(text);
                    continue;
                }
                _ => continue,
            };
            self.learn(shape, text, found);
        }
        for (reference, texts) in objects {
            let found = harmless(look_up(reader, &reference, &texts).await.map(Some))?.unwrap_or_default();
            for text in texts {
                let id = found.get(&text.to_lowercase()).cloned();
                self.learn(AttributeShape::Object(reference.clone()), text, id);
            }
        }
        Ok(())
    }

    /// Forgets what stood for nothing, so that it is asked for again.
    pub(crate) fn forget_nothing(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, found| found.is_some());
    }

    fn learn(&self, shape: AttributeShape, text: String, found: Option<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert((shape, text), found);
    }
}

/// People and groups are often shown in part only.
fn harmless<T>(found: Result<Option<T>, TargetError>) -> Result<Option<T>, TargetError> {
    match found {
        Err(TargetError::Forbidden { .. } | TargetError::Rejected { .. }) => Ok(None),
        other => other,
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

/// Ids of the only objects that have these texts in one of the attributes; the first attribute that has one decides.
async fn look_up(reader: &Reader<'_>, reference: &Reference, texts: &[String]) -> Result<BTreeMap<String, String>, TargetError> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut ambiguous: BTreeSet<String> = BTreeSet::new();
    for attribute in &reference.by {
        let open: Vec<&str> = texts
            .iter()
            .map(String::as_str)
            .filter(|text| !found.contains_key(&text.to_lowercase()) && !ambiguous.contains(*text))
            .collect();
        for chunk in open.chunks(crate::aql::LISTED_MAX) {
            let query = format!("objectType = {} AND {}", Quoted(&reference.object_type), any_of(attribute, chunk.iter().copied()));
            let mut by_text: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for object in reader.api.search(&query).await? {
                let shown = object.plain_texts().filter(|text| chunk.iter().any(|wanted| wanted.eq_ignore_ascii_case(text)));
                for text in shown {
                    by_text.entry(text.to_lowercase()).or_default().insert(object.id.0.clone());
                }
            }
            for (text, ids) in by_text {
                match (ids.len(), ids.into_iter().next().filter(|id| is_id(id))) {
                    (1, Some(id)) => drop(found.insert(text, id)),
                    _ => drop(ambiguous.insert(text)),
                }
            }
        }
    }
    Ok(found)
}
