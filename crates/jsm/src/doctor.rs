//! The online checks: each names what is missing on the site and who has to do what.

use std::collections::BTreeMap;

use dewpoint_core::doctor::{CREDENTIALS, Finding, Health};
use dewpoint_core::target::{StepOutcome, TargetError};
use jiff::SignedDuration;

use crate::api::{Api, Deployment};
use crate::bootstrap;
use crate::import::Imports;
use crate::mapping::Mapping;

/// Objects that a plan includes.
///
/// Source: Atlassian, "Understand the object limit for Assets".
const OBJECTS_INCLUDED: u64 = 50_000;

/// A clock that is off by as much would move what records say of themselves into another day.
const SKEW_MAX: SignedDuration = SignedDuration::from_hours(12);

/// Everything there is to say of a site. It stops at what makes the rest pointless.
pub(crate) async fn findings(api: &Api, mapping: &Mapping, imports: Option<&Imports>) -> Vec<Finding> {
    let mut checks = Checks { api, findings: Vec::new() };
    if checks.credentials().await {
        checks.schema(mapping).await;
        if let Some(imports) = imports {
            checks.imports(imports).await;
        }
        checks.usage().await;
        checks.clock();
    }
    checks.findings
}

struct Checks<'a> {
    api: &'a Api,
    findings: Vec<Finding>,
}

impl Checks<'_> {
    fn note(&mut self, check: &str, outcome: Health, text: impl Into<String>, mend: Option<&str>) {
        self.findings.push(Finding::new(self.api.assets.target(), check, outcome, text, mend.map(str::to_owned)));
    }

    /// Whether the site lets us in at all.
    async fn credentials(&mut self) -> bool {
        let (check, error, mend) = match self.api.schemas().await {
            Ok(schemas) => {
                let text = format!("{} lets us in and shows {} object schemas", self.api.assets.client().origin(), schemas.len());
                self.note(CREDENTIALS, Health::Ok, text, None);
                return true;
            }
            Err(error @ TargetError::Credentials { .. }) => {
                let mend = "check user and API token, or the personal access token; on Cloud the user is a mail address";
                (CREDENTIALS, error, mend)
            }
            Err(error @ TargetError::Forbidden { .. }) => {
                let mend = "give the user access to Jira Service Management (an agent's seat); Assets is part of Premium and Enterprise";
                (CREDENTIALS, error, mend)
            }
            Err(error @ TargetError::Unusable { .. }) => {
                ("workspace", error, "Assets is part of Premium and Enterprise; check `url` and `api_base`")
            }
            Err(error) => ("address", error, "check `url`, `api_base`, proxies and certificates"),
        };
        self.note(check, Health::Error, error.to_string(), Some(mend));
        false
    }

    /// What `bootstrap` would make, or could not.
    async fn schema(&mut self, mapping: &Mapping) {
        let steps = match bootstrap::bootstrap(self.api, mapping, true).await {
            Ok(steps) => steps,
            Err(error) => return self.note("schema", Health::Error, error.to_string(), Some("give the user a role in the schema")),
        };
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut missing = Vec::new();
        for step in steps {
            match step.outcome {
                StepOutcome::Refused => {
                    let text = format!("{}: {}", step.what, step.text.unwrap_or_default());
                    self.note("schema", Health::Error, text, step.mend.as_deref());
                }
                StepOutcome::WouldMake => missing.push(step.what),
                StepOutcome::Present | StepOutcome::Made => *counts.entry("present").or_default() += 1,
            }
        }
        let target = self.api.assets.target();
        match missing.as_slice() {
            [] => {
                let text = format!("schema `{}` has all that is written to: {} parts", self.api.schema_key, counts.values().sum::<usize>());
                self.note("schema", Health::Ok, text, None);
            }
            [first, rest @ ..] => {
                let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
                let mend = format!("run `dewpoint bootstrap {target}`");
                self.note("schema", Health::Error, format!("{first}{more} missing"), Some(&mend));
            }
        }
    }

    /// Whether the import source is one of the schema, and idle.
    async fn imports(&mut self, imports: &Imports) {
        // Where there is no schema yet, that is said.
        let Ok(schema) = self.api.schema().await else { return };
        match imports.examine(&schema.id).await {
            Ok(text) => self.note("imports", Health::Ok, text, None),
            Err(text) => {
                let mend =
                    "give the token of an import source of the type External import, which is enabled, in the schema that `schema` names";
                self.note("imports", Health::Error, text, Some(mend));
            }
        }
    }

    /// How many objects there are, of those that the plan includes: what more of them costs, or whether they are refused, is the contract's.
    async fn usage(&mut self) {
        if self.api.deployment == Deployment::DataCenter {
            return;
        }
        // Who may not ask is told nothing: it is no right that syncs need.
        let Ok(count) = self.api.usage().await else { return };
        let text = format!("the site holds {count} objects; {OBJECTS_INCLUDED} are included in Premium and Enterprise");
        if count < OBJECTS_INCLUDED / 10 * 9 {
            return self.note("objects", Health::Ok, text, None);
        }
        let mend =
            "keep fewer kinds by `include`, or set `max_records`: plans tell how many objects there will be, and hold what goes beyond it";
        self.note("objects", Health::Warning, text, Some(mend));
    }

    fn clock(&mut self) {
        let Some(skew) = self.api.assets.skew() else { return };
        let (outcome, text, mend) = skew.judge("the site", SKEW_MAX, "so that records tell of another day");
        self.note("clock", outcome, text, mend.as_deref());
    }
}
