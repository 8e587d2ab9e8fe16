//! A site with the target that writes to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dewpoint_assets_sim::{Deployment as Product, Settings, Sim, Site, Start};
use dewpoint_core::target::{StepOutcome, Target as _};
use jiff::Timestamp;
use secrecy::SecretString;

use crate::{
    ApiBase, Auth, BaseUrl, Connection, Deployment, JsmConfig, JsmTarget, Mapping, NoMeter, Plaintext, Proxies, Rate, SystemClock,
};

/// Key of the schema.
pub(super) const SCHEMA: &str = "CLOUD";

pub(super) struct Rig {
    pub(super) sim: Arc<Sim>,
    pub(super) target: JsmTarget,
}

/// The machine's clock, but nobody waits by it: what is slept through goes by in the simulator at once.
#[derive(Debug)]
struct Hurried {
    clock: SystemClock,
    sim: Arc<Sim>,
}

#[async_trait::async_trait]
impl crate::Clock for Hurried {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }
    fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }
    async fn sleep(&self, time: Duration) {
        self.sim.advance(time.try_into().unwrap());
    }
}

/// As somebody who keeps objects, and may make the schema's parts.
pub(super) fn config(sim: &Arc<Sim>) -> JsmConfig {
    config_of(sim, "integration")
}

/// As a user of the site.
pub(super) fn config_of(sim: &Arc<Sim>, user: &str) -> JsmConfig {
    let url = |path: &str| BaseUrl::parse(&format!("{}{path}", sim.url()), Plaintext::Loopback).unwrap();
    let is_cloud = sim.edit(|site| site.deployment == Product::Cloud);
    let token = SecretString::from(format!("{user}-token"));
    JsmConfig {
        connection: Connection {
            target: "assets".parse().unwrap(),
            timeout: Duration::from_secs(30),
            deadline: Duration::from_secs(600),
            ca_pem: None,
            proxies: Proxies::default(),
            meter: Arc::new(NoMeter),
            clock: Arc::new(Hurried { clock: SystemClock::new(), sim: Arc::clone(sim) }),
        },
        url: url(""),
        deployment: if is_cloud { Deployment::Cloud } else { Deployment::DataCenter },
        api_base: if is_cloud { ApiBase::Host(url("")) } else { ApiBase::Whole(url("/rest/assets/1.0")) },
        auth: if is_cloud { Auth::Basic { username: format!("{user}@example.com"), password: token } } else { Auth::Token(token) },
        schema: SCHEMA.to_owned(),
        mapping: Arc::new(Mapping::standard().unwrap()),
        authority: BTreeMap::new(),
        batch_size: 50,
        rate: Rate::per_second(1000.0),
        import: None,
        index_lag: Duration::from_secs(10),
    }
}

impl Rig {
    /// A site without our schema.
    pub(super) fn bare(site: Site) -> Self {
        let start = Start { settings: Settings::default().without_limits(), ..Start::new(site) };
        let sim = Arc::new(Sim::start_with(start).unwrap());
        let target = JsmTarget::new(&config(&sim)).unwrap();
        Self { sim, target }
    }

    /// A site with all that has to be there.
    pub(super) async fn over(site: Site) -> Self {
        let rig = Self::bare(site);
        let steps = rig.of_administrator().bootstrap(false).await.unwrap();
        let refused: Vec<_> = steps.iter().filter(|step| step.outcome == StepOutcome::Refused).collect();
        assert!(refused.is_empty(), "{refused:#?}");
        rig.sim.clear_calls();
        rig
    }

    /// A target that acts as somebody who administers the site.
    pub(super) fn of_administrator(&self) -> JsmTarget {
        JsmTarget::new(&config_of(&self.sim, "admin")).unwrap()
    }

    /// The same site as another process sees it.
    pub(super) fn anew(&mut self) {
        self.target = JsmTarget::new(&config(&self.sim)).unwrap();
    }
}
