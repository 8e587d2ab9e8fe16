//! People write a mail address or a name; an asset's owner is the id of an agent or of a user.
//!
//! Source: Halo API v2, schemas `Device` (`technical_owner_id`, `business_owner_id`), `Agent` and `Users`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dewpoint_core::target::TargetError;
use serde::Deserialize;

use crate::api::{Api, Row};
use crate::asset::Id;

/// A part that somebody has in an asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    /// An agent.
    Technical,
    /// A user.
    Business,
}

impl Owner {
    pub(crate) const ALL: [Self; 2] = [Self::Technical, Self::Business];

    /// The asset's member.
    pub(crate) const fn member(self) -> &'static str {
        match self {
            Self::Technical => "technical_owner_id",
            Self::Business => "business_owner_id",
        }
    }

    /// The part that a member is for.
    pub(crate) fn of(member: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|owner| owner.member() == member)
    }

    /// Who it is when it is nobody.
    pub(crate) const fn nobody(self) -> Id {
        match self {
            Self::Technical => Id(0),
            Self::Business => Id(-99),
        }
    }

    /// Who can be it.
    pub(crate) const fn who(self) -> &'static str {
        match self {
            Self::Technical => "agent",
            Self::Business => "user",
        }
    }
}

/// An agent or a user.
#[derive(Deserialize)]
struct Person {
    id: Id,
    #[serde(default)]
    name: Option<String>,
    #[serde(default, alias = "emailaddress")]
    email: Option<String>,
    #[serde(default)]
    isdisabled: Option<bool>,
    #[serde(default)]
    inactive: Option<bool>,
}

impl Row for Person {
    fn id(&self) -> Id {
        self.id
    }
}

impl Person {
    fn is_active(&self) -> bool {
        self.isdisabled != Some(true) && self.inactive != Some(true)
    }

    fn is_called(&self, text: &str) -> bool {
        [&self.name, &self.email].into_iter().flatten().any(|own| own.trim().to_lowercase() == text.trim().to_lowercase())
    }
}

/// What was resolved since the target was made.
#[derive(Debug, Default)]
pub(crate) struct Resolver(Mutex<Resolved>);

#[derive(Debug, Default)]
struct Resolved {
    /// `None` for what nobody, or more than one, is called.
    known: BTreeMap<(Owner, String), Option<Id>>,
    /// Why a text could not be looked up: it is tried again when what stood for nobody is.
    failed: BTreeMap<(Owner, String), String>,
}

impl Resolver {
    /// Whom a text stands for, or why it stands for nobody.
    pub(crate) fn get(&self, owner: Owner, text: &str) -> Result<Id, String> {
        let wanted = (owner, text.to_owned());
        let resolved = self.resolved();
        match (resolved.known.get(&wanted), resolved.failed.get(&wanted)) {
            (Some(Some(found)), _) => Ok(*found),
            (None, Some(why)) => Err(format!("`{text}` could not be looked up: {why}")),
            _ => Err(format!("no {who} that we may see, or more than one, is `{text}`", who = owner.who())),
        }
    }

    /// Resolves what is not known yet. What may not be looked up is left, and stops nothing: agents and users need rights that assets do not.
    ///
    /// # Errors
    /// Where there is no answer: another time there may be.
    pub(crate) async fn resolve(&self, api: &Api, wanted: BTreeSet<(Owner, String)>) -> Result<(), TargetError> {
        let mut by_owner: BTreeMap<Owner, Vec<String>> = BTreeMap::new();
        for (owner, text) in wanted {
            let wanted = (owner, text);
            let resolved = self.resolved();
            if !resolved.known.contains_key(&wanted) && !resolved.failed.contains_key(&wanted) {
                by_owner.entry(owner).or_default().push(wanted.1);
            }
        }
        for (owner, texts) in by_owner {
            match owner {
                // They are few, and one request shows all.
                Owner::Technical => {
                    let agents = api.bare::<Person>("Agent", &[], "list agents").await;
                    for text in texts {
                        self.learn(owner, text, agents.as_ref().map(Vec::as_slice).map_err(Clone::clone))?;
                    }
                }
                Owner::Business => {
                    for text in texts {
                        let users = users(api, &text).await;
                        self.learn(owner, text, users.as_ref().map(Vec::as_slice).map_err(Clone::clone))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Why a text could not be looked up.
    pub(crate) fn why_failed(&self, owner: Owner, text: &str) -> Option<String> {
        self.resolved().failed.get(&(owner, text.to_owned())).cloned()
    }

    /// Forgets what stood for nobody, so that it is asked for again.
    pub(crate) fn forget_nobody(&self) {
        let mut resolved = self.resolved();
        resolved.known.retain(|_, found| found.is_some());
        resolved.failed.clear();
    }

    fn resolved(&self) -> MutexGuard<'_, Resolved> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the only one of these people who is active and called so.
    fn learn(&self, owner: Owner, text: String, shown: Result<&[Person], TargetError>) -> Result<(), TargetError> {
        match shown {
            Ok(people) => {
                let mut so_called = people.iter().filter(|person| person.is_active() && person.is_called(&text));
                let only = so_called.next().filter(|_| so_called.next().is_none());
                self.resolved().known.insert((owner, text), only.map(|person| person.id));
            }
            Err(error @ (TargetError::Forbidden { .. } | TargetError::Rejected { .. } | TargetError::Unusable { .. })) => {
                self.resolved().failed.insert((owner, text), error.to_string());
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// The users that a search shows: there are too many to list.
async fn users(api: &Api, text: &str) -> Result<Vec<Person>, TargetError> {
    const OPERATION: &str = "look up a user";
    let page = api.page::<Person>("Users", &[("search", text)], 1, OPERATION).await?;
    if !page.is_all() {
        return Err(api.caller.rejected("it shows more users than a page holds".to_owned()));
    }
    Ok(page.rows)
}
