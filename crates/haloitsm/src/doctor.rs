//! The online checks: each names what is missing in the tenant and who has to do what.

use std::collections::{BTreeMap, BTreeSet};

use dewpoint_core::doctor::{CREDENTIALS, Finding, Health};
use dewpoint_core::target::{Step, StepOutcome, TargetError};
use jiff::SignedDuration;
use serde::Deserialize;

use crate::api::Api;
use crate::asset::{Asset, Id, Noted, Way};
use crate::book::{Book, Listing};
use crate::bootstrap;
use crate::mapping::Mapping;
use crate::reading::Reader;
use crate::resolver::Resolver;

/// A clock that is off by as much would move what records say of themselves into another day.
const SKEW_MAX: SignedDuration = SignedDuration::from_hours(12);

/// Everything there is to say of a tenant. It stops at what makes the rest pointless.
pub(crate) async fn findings(api: &Api, mapping: &Mapping, book: &Book) -> Vec<Finding> {
    let mut checks = Checks { api, findings: Vec::new() };
    if checks.credentials().await {
        if checks.configuration(mapping).await {
            checks.relationships(mapping).await;
            checks.writers(mapping, book).await;
            checks.owners(mapping).await;
        }
        checks.clock();
    }
    checks.findings
}

/// How many assets are read to see whether relationships are taken.
const SAMPLE: usize = 5;

/// What others did to assets.
struct Hands {
    /// How many of ours HaloITSM's own AWS integration knows.
    ours: usize,
    /// How many others of our types it knows.
    others: usize,
    copies: Vec<Id>,
    unreadable: Vec<Id>,
    /// Some of ours with what we put them below.
    noted: BTreeMap<Id, BTreeSet<Id>>,
    /// Why some are not shown.
    hidden: Vec<TargetError>,
}

impl Hands {
    fn of(reader: &Reader<'_>, listing: &Listing) -> Self {
        let assets = || listing.assets.values();
        let is_ours = |asset: &&Asset| reader.carried(asset).estate.is_some();
        let (ours, others): (Vec<&Asset>, Vec<&Asset>) = assets().filter(|asset| asset.aws_id().is_some()).partition(is_ours);
        let originals: BTreeSet<Id> = reader.originals(assets()).into_values().collect();
        let ids = |is_it: &dyn Fn(&&Asset) -> bool| -> Vec<Id> {
            let ids: BTreeSet<Id> = assets().filter(|asset| is_it(asset)).map(|asset| asset.id).collect();
            ids.into_iter().collect()
        };
        let is_copy = |asset: &&Asset| {
            let carried = reader.carried(asset);
            carried.estate.is_some() && carried.key.is_some() && !originals.contains(&asset.id)
        };
        let copies = ids(&is_copy);
        let unreadable = ids(&|asset| is_ours(asset) && reader.noted(asset) == Noted::Unreadable);
        let parents = |asset: &Asset| match reader.noted(asset) {
            Noted::Read(note) => note.all(Way::Below),
            Noted::Nothing | Noted::Unreadable => BTreeSet::new(),
        };
        let noted = assets().filter(is_ours).map(|asset| (asset.id, parents(asset))).filter(|(_, parents)| !parents.is_empty());
        let noted = noted.take(SAMPLE).collect();
        let hidden = listing.refused.values().cloned().collect();
        Self { ours: ours.len(), others: others.len(), copies, unreadable, noted, hidden }
    }
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
                // Without a status assets are still kept.
                let is_serious = missing.iter().any(|what| !what.starts_with(bootstrap::STATUS));
                let outcome = if is_serious { Health::Error } else { Health::Warning };
                self.note(CHECK, outcome, format!("{first}{more} missing"), Some(&mend));
                return !is_serious;
            }
        }
        true
    }

    /// Whether those can be looked up who are mapped as owners.
    async fn owners(&mut self, mapping: &Mapping) {
        const CHECK: &str = "owners";
        const NOBODY: &str = "nobody";
        for owner in mapping.owners() {
            let resolver = Resolver::default();
            let looked = resolver.resolve(self.api, BTreeSet::from([(owner, NOBODY.to_owned())])).await;
            let who = owner.who();
            match looked.map(|()| resolver.why_failed(owner, NOBODY)) {
                Ok(None) => self.note(CHECK, Health::Ok, format!("{who}s can be looked up"), None),
                Ok(Some(why)) => {
                    let mend = format!("let the application see {who}s: agents need the scope `all`");
                    self.note(CHECK, Health::Warning, format!("{who}s cannot be looked up: {why}"), Some(&mend));
                }
                Err(error) => self.note(CHECK, Health::Warning, error.to_string(), None),
            }
        }
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

    /// What other hands do to assets of our types: HaloITSM's own AWS integration, people who copy or edit them.
    async fn writers(&mut self, mapping: &Mapping, book: &Book) {
        const CHECK: &str = "AWS integration";
        let found = async {
            let schema = self.api.schema(mapping).await?;
            let resolver = Resolver::default();
            let reader = Reader { api: self.api, mapping, schema: &schema, book, resolver: &resolver };
            let hands = Hands::of(&reader, &*reader.list().await?);
            let mut missing = Vec::new();
            for (child, parents) in &hands.noted {
                let shown = self.api.asset(*child).await?.map(|asset| asset.parents()).unwrap_or_default();
                missing.extend((!parents.is_subset(&shown)).then_some(*child));
            }
            Ok::<_, TargetError>((hands, missing))
        };
        let (Hands { ours, others, copies, unreadable, noted, hidden }, missing) = match found.await {
            Ok(found) => found,
            Err(error) => return self.note(CHECK, Health::Error, error.to_string(), Some("check what the application may see")),
        };
        if ours > 0 {
            let text = format!("HaloITSM's own AWS integration keeps {ours} of our assets, too: two write to them");
            let mend = "switch that integration off, or keep its machines out of this target by `include`";
            self.note(CHECK, Health::Warning, text, Some(mend));
        }
        if others > 0 {
            let text = format!(
                "HaloITSM's own AWS integration keeps {others} assets of the types that are ours, which are not: machines may be there twice"
            );
            let mend = "give that integration another asset type, or switch it off and take its assets over by `adopt`";
            self.note(CHECK, Health::Warning, text, Some(mend));
        }
        if let Some(first) = copies.first() {
            let text = format!(
                "{} assets carry the key of another one, as copies do, the first is {first}: they are taken for people's",
                copies.len()
            );
            self.note(
                "copies",
                Health::Warning,
                text,
                Some("empty the fields `Dewpoint Key` and `Dewpoint Estate` of copies, or delete them"),
            );
        }
        if let Some(first) = unreadable.first() {
            let text = format!(
                "what is noted on {} of our assets cannot be read, the first is {first}: their relationships are not changed",
                unreadable.len()
            );
            self.note("notes", Health::Warning, text, Some("put back what stood in the field `Dewpoint Data`, or empty it"));
        }
        if let Some(first) = missing.first() {
            let text = format!(
                "of {} assets that were related, {} lack a relationship that was sent, the first is {first}: people removed it, or it is not taken",
                noted.len(),
                missing.len()
            );
            self.note(
                "relationships",
                Health::Warning,
                text,
                Some("relate two assets by the API, and see whether they are shown as related"),
            );
        }
        for error in hidden {
            self.note("assets", Health::Error, error.to_string(), Some("let the application read assets of all types that it writes"));
        }
    }

    fn clock(&mut self) {
        let Some(skew) = self.api.caller.skew() else { return };
        let (outcome, text, mend) = skew.judge("the tenant", SKEW_MAX, "so that records tell of another day");
        self.note("clock", outcome, text, mend.as_deref());
    }
}
