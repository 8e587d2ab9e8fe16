//! The online checks: each names what is missing in the tenant and who has to do what.

use dewpoint_core::doctor::{CREDENTIALS, Finding, Health};
use dewpoint_core::model::Kind;
use dewpoint_core::target::{Step, StepOutcome, TargetError};
use jiff::SignedDuration;
use serde::Deserialize;

use crate::api::Api;
use crate::book::Book;
use crate::bootstrap;
use crate::mapping::Mapping;
use crate::reading::Reader;

/// A clock that is off by as much would move what records say of themselves into another day.
const SKEW_MAX: SignedDuration = SignedDuration::from_hours(12);

/// Everything there is to say of a tenant. It stops at what makes the rest pointless.
pub(crate) async fn findings(api: &Api, mapping: &Mapping, book: &Book) -> Vec<Finding> {
    let mut checks = Checks { api, findings: Vec::new() };
    if checks.credentials().await {
        if checks.configuration(mapping).await {
            checks.relationships(mapping).await;
            checks.writers(mapping, book).await;
        }
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
        self.findings.push(Finding::new(self.api.caller.target(), check, outcome, text, mend.map(str::to_owned)));
    }

    /// Whether the tenant lets us in at all.
    async fn credentials(&mut self) -> bool {
        #[derive(Deserialize)]
        struct Instance {
            #[serde(default)]
            app_version: Option<String>,
        }
        const OPERATION: &str = "ask what the tenant is";
        let asked = match self.api.ask("InstanceInfo", OPERATION).await {
            Ok(answer) => self.api.caller.json::<Instance>(&answer, OPERATION),
            Err(error) => Err(error),
        };
        let (check, error, mend) = match asked {
            Ok(instance) => {
                let version = instance.app_version.map(|version| format!(", version {version}")).unwrap_or_default();
                self.note(CREDENTIALS, Health::Ok, format!("{} lets us in{version}", self.api.caller.client().origin()), None);
                return true;
            }
            Err(error @ TargetError::Credentials { .. }) => {
                (CREDENTIALS, error, "check client id and secret (the id may change when the application is first saved), and `tenant`")
            }
            Err(error @ TargetError::Forbidden { .. }) => {
                (CREDENTIALS, error, "check the application's permissions and the agent it acts as")
            }
            Err(error) => ("address", error, "check `url`, `auth_url`, `tenant`, proxies and certificates"),
        };
        self.note(check, Health::Error, error.to_string(), Some(mend));
        false
    }

    /// What `bootstrap` would make, or could not. Whether all that assets need is there.
    async fn configuration(&mut self, mapping: &Mapping) -> bool {
        const CHECK: &str = "configuration";
        let steps = match bootstrap::bootstrap(self.api, mapping, true).await {
            Ok(steps) => steps,
            Err(error) => {
                let mend = error.hint().unwrap_or_else(|| "check what the application may see".to_owned());
                self.note(CHECK, Health::Error, error.to_string(), Some(&mend));
                return false;
            }
        };
        let present = bootstrap::counts(&steps).get(StepOutcome::Present.as_str()).copied().unwrap_or_default();
        let mut missing = Vec::new();
        let mut is_sound = true;
        for Step { what, outcome, text, mend } in steps {
            match outcome {
                StepOutcome::Refused => {
                    // Without a status, or a field of many, assets are still kept.
                    self.note(CHECK, Health::Warning, format!("{what}: {}", text.unwrap_or_default()), mend.as_deref());
                    is_sound = false;
                }
                StepOutcome::WouldMake => missing.push(what),
                StepOutcome::Present | StepOutcome::Made => {}
            }
        }
        let target = self.api.caller.target();
        match missing.as_slice() {
            [] if is_sound => self.note(CHECK, Health::Ok, format!("it has all that is written to: {present} parts"), None),
            [] => {}
            [first, rest @ ..] => {
                let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
                let mend = format!("run `dewpoint bootstrap {target}`");
                self.note(CHECK, Health::Error, format!("{first}{more} missing"), Some(&mend));
                return false;
            }
        }
        true
    }

    async fn relationships(&mut self, mapping: &Mapping) {
        const CHECK: &str = "relationships";
        match self.api.links(mapping).await {
            Ok(links) => match &links.unsupported {
                Some(why) => {
                    let (why, mend) = (why.clone(), "update HaloITSM; until then assets are kept without relationships");
                    self.note(CHECK, Health::Warning, why, Some(mend));
                }
                None => {
                    let named = links.names.len();
                    let text =
                        format!("they can be written; {named} of {} types of edges have a name of the tenant's", mapping.edges().len());
                    self.note(CHECK, Health::Ok, text, None);
                }
            },
            Err(error) => self.note(CHECK, Health::Warning, error.to_string(), Some("check what the application may read")),
        }
    }

    /// Whether somebody else keeps our machines.
    async fn writers(&mut self, mapping: &Mapping, book: &Book) {
        const CHECK: &str = "AWS integration";
        let found = async {
            let schema = self.api.schema(mapping).await?;
            let reader = Reader { api: self.api, mapping, schema: &schema, book };
            let machines = mapping.sheet().class(Kind::Instance).and_then(|class| schema.type_named(class));
            let Some(machines) = machines else { return Ok(0) };
            let assets = self.api.of_type(machines.id).await?;
            Ok::<_, TargetError>(assets.iter().filter(|asset| asset.aws_id().is_some() && reader.carried(asset).estate.is_some()).count())
        };
        match found.await {
            Ok(0) => {}
            Ok(count) => {
                let text = format!("HaloITSM's own AWS integration keeps {count} of our assets, too: two write to them");
                let mend = "switch that integration off, or keep its machines out of this target by `include`";
                self.note(CHECK, Health::Warning, text, Some(mend));
            }
            Err(error) => self.note(CHECK, Health::Error, error.to_string(), Some("check what the application may see")),
        }
    }

    fn clock(&mut self) {
        let Some(skew) = self.api.caller.skew() else { return };
        let (outcome, text, mend) = skew.judge("the tenant", SKEW_MAX, "so that records tell of another day");
        self.note("clock", outcome, text, mend.as_deref());
    }
}
