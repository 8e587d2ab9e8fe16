//! `doctor` and `bootstrap`.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use dewpoint_core::doctor::{Finding, Health};
use dewpoint_core::target::{StepOutcome, Target, TargetError};
use dewpoint_servicenow_sim::{Instance, RateRule};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use super::rig::{Rig, config, machine};
use crate::{Auth, Rate, ServiceNowTarget, SystemClock};

fn as_user(rig: &Rig, user: &str, password: &str) -> ServiceNowTarget {
    let auth = Auth::Basic { username: user.to_owned(), password: SecretString::from(password) };
    ServiceNowTarget::new(&crate::ServiceNowConfig { auth, ..config(&rig.sim) }).unwrap()
}

fn worst(findings: &[Finding]) -> Vec<(&str, &str)> {
    let bad = findings.iter().filter(|finding| finding.outcome != Health::Ok);
    bad.map(|finding| (finding.check.as_str(), finding.text.as_str())).collect()
}

#[tokio::test]
async fn a_sound_instance_has_nothing_to_mend() {
    let rig = Rig::new();
    let before = rig.sim.snapshot().tables();
    let findings = as_user(&rig, "admin", "admin-password").doctor().await;
    assert_eq!(worst(&findings), []);
    assert!(findings.len() >= 5, "{findings:?}");
    assert_eq!(rig.sim.snapshot().tables(), before, "nothing was written");
}

#[tokio::test]
async fn a_wrong_password_is_the_credentials() {
    let rig = Rig::new();
    let findings = as_user(&rig, "integration", "wrong").doctor().await;
    assert_eq!((findings.len(), findings[0].check.as_str(), findings[0].outcome), (1, "credentials", Health::Error));
    assert!(!format!("{findings:?}").contains("wrong"), "{findings:?}");
    assert!(matches!(as_user(&rig, "integration", "wrong").fingerprint(None).await, Err(TargetError::Credentials { .. })));
}

#[tokio::test]
async fn what_the_instance_lacks_is_named() {
    let rig = Rig::over(Instance::bare());
    let findings = as_user(&rig, "admin", "admin-password").doctor().await;
    let worst = worst(&findings);
    let has = |check: &str, word: &str| worst.iter().any(|(found, text)| *found == check && text.contains(word));
    assert!(has("data source", "`Dewpoint`"), "{worst:?}");
    assert!(has("columns", "cmdb_ci_network") || has("identification", "cmdb_ci_network"), "{worst:?}");
    assert!(has("identification", "cmdb_ci_cloud_subnet"), "{worst:?}");
    assert!(findings.iter().filter(|finding| finding.outcome != Health::Ok).all(|finding| finding.mend.is_some()), "{findings:?}");
}

#[tokio::test]
async fn relationships_that_cannot_be_read_are_told() {
    for table in ["cmdb_rel_ci", "sys_rel_source"] {
        let rig = Rig::new();
        rig.sim.edit(|instance| {
            instance.insert(table, &[("sys_updated_by", "people")]);
            let rule = dewpoint_servicenow_sim::RowRule { table: table.to_owned(), query: String::new(), role: "nobody".to_owned() };
            instance.row_rules.push(rule);
        });
        let findings = as_user(&rig, "integration", "integration-password").doctor().await;
        let finding = findings.iter().find(|finding| finding.check == "relationships").unwrap();
        assert!(finding.outcome == Health::Warning && finding.text.contains(table), "{finding:?}");
        assert!(finding.mend.as_ref().unwrap().contains("cmdb_rel_ci and sys_rel_source"), "{finding:?}");
    }
}

#[tokio::test]
async fn bootstrap_registers_the_source_once() {
    let rig = Rig::over(Instance::new());
    let admin = as_user(&rig, "admin", "admin-password");
    let outcome = |steps: Vec<dewpoint_core::target::Step>| steps.into_iter().map(|step| step.outcome).collect::<Vec<_>>();
    assert_eq!(outcome(admin.bootstrap(true).await.unwrap()), [StepOutcome::WouldMake]);
    assert_eq!(rig.sim.counters().writes, 0);
    assert_eq!(outcome(admin.bootstrap(false).await.unwrap()), [StepOutcome::Made]);
    assert_eq!(outcome(admin.bootstrap(false).await.unwrap()), [StepOutcome::Present]);
    rig.send(0, &[rig.create(&machine(1))]).await;
}

#[tokio::test]
async fn a_user_who_may_not_register_is_told_who_may() {
    let rig = Rig::over(Instance::new());
    let steps = rig.target.bootstrap(false).await.unwrap();
    assert_eq!(steps[0].outcome, StepOutcome::Refused);
    assert!(steps[0].mend.as_ref().unwrap().contains("administrator"), "{steps:?}");
    assert_eq!(rig.sim.rows("sys_choice", "value=Dewpoint").len(), 0);
}

/// A clock that is ahead of the machine's.
#[derive(Debug)]
struct Ahead(SystemClock);

#[async_trait::async_trait]
impl crate::Clock for Ahead {
    fn now(&self) -> Timestamp {
        self.0.now() + SignedDuration::from_mins(9)
    }
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
    async fn sleep(&self, time: Duration) {
        self.0.sleep(time).await;
    }
}

#[tokio::test]
async fn clocks_and_rate_rules_are_looked_at() {
    let mut instance = Instance::new().with_data_source("Dewpoint");
    instance.rate_rules.push(RateRule { api: None, user: Some("admin".to_owned()), role: None, limit: 2000, window_s: 3600 });
    let rig = Rig::over(instance);
    let auth = Auth::Basic { username: "admin".to_owned(), password: SecretString::from("admin-password") };
    let clock = Arc::new(Ahead(SystemClock::new()));
    let config = config(&rig.sim);
    let connection = crate::Connection { clock, ..config.connection };
    let config = crate::ServiceNowConfig { auth: auth.clone(), connection, rate: Rate::per_second(1000.0), ..config };
    let findings = ServiceNowTarget::new(&config).unwrap().doctor().await;
    let worst = worst(&findings);
    assert!(
        matches!(worst.as_slice(), [("clock", clock), ("rate limits", rate)]
        if clock.contains("s ahead of the instance's") && rate.contains("allows 2000 requests an hour, and `rate` 3600000")),
        "{worst:?}"
    );
    let slow =
        crate::ServiceNowConfig { auth, rate: Rate { per_second: 0.5, burst: NonZero::new(100).unwrap() }, ..super::rig::config(&rig.sim) };
    let findings = ServiceNowTarget::new(&slow).unwrap().doctor().await;
    assert!(findings.iter().all(|finding| finding.outcome == Health::Ok), "{findings:?}");
}
