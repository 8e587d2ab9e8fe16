//! Bootstrap and checks.

use dewpoint_core::doctor::Health;
use dewpoint_core::target::{Step, StepOutcome, Target as _};
use dewpoint_halo_sim::{AssetType, Field, Status, Tenant};

use super::rig::{Rig, WORKER, config_of, tenant};
use crate::HaloTarget;

fn step<'s>(steps: &'s [Step], what: &str) -> &'s Step {
    steps.iter().find(|step| step.what == what).unwrap()
}

#[tokio::test]
async fn what_is_there_is_not_made_again() {
    let rig = Rig::new().await;
    let steps = rig.target.bootstrap(false).await.unwrap();
    assert!(steps.len() > 100 && steps.iter().all(|step| step.outcome == StepOutcome::Present), "{steps:#?}");
    assert!(rig.sim.calls().iter().all(|call| call.method == "GET" || call.operation == "token"), "nothing is sent");
    assert!(rig.sim.unknown_properties().is_empty());
}

#[tokio::test]
async fn a_dry_run_makes_nothing_and_says_the_same() {
    let rig = Rig::bare(tenant(), |_| {});
    let dry = rig.target.bootstrap(true).await.unwrap();
    assert!(rig.sim.calls().iter().all(|call| call.method == "GET" || call.operation == "token"), "nothing is sent");
    let real = rig.of_administrator().bootstrap(false).await.unwrap();
    assert!(rig.sim.unknown_properties().is_empty(), "{:?}", rig.sim.unknown_properties());
    let names = |steps: &[Step]| steps.iter().map(|step| step.what.clone()).collect::<Vec<_>>();
    assert_eq!(names(&dry), names(&real));
    let wanted = |step: &Step| if step.outcome == StepOutcome::WouldMake { StepOutcome::Made } else { step.outcome };
    for (dry, real) in dry.iter().zip(&real) {
        assert_eq!(wanted(dry), real.outcome, "{dry:?} {real:?}");
    }
    assert_eq!(step(&real, "field `Name`").outcome, StepOutcome::Present, "people have one");
    let machine = rig.sim.edit(|tenant| tenant.types[&tenant.type_named("Virtual Machine").unwrap()].clone());
    for (number, name) in ["Name", "Native ID"].iter().enumerate() {
        let field = rig.sim.edit(|tenant| tenant.field_named(name).unwrap());
        assert_eq!(machine.fields[number].field_id, field);
        assert_eq!(machine.fields[number].key.map(usize::from), Some(number + 1));
    }
}

#[tokio::test]
async fn a_type_of_peoples_keeps_its_fields() {
    let mut tenant = tenant();
    tenant.add_type("Virtual Machine", &["Name", "Model", "Serial Number"]);
    let rig = Rig::over(tenant, |_| {}).await;
    let machine: AssetType = rig.sim.edit(|tenant| tenant.types[&tenant.type_named("Virtual Machine").unwrap()].clone());
    let keys: Vec<(i64, Option<u8>)> = machine.fields.iter().take(3).map(|field| (field.field_id, field.key)).collect();
    assert_eq!(keys, [(101, Some(1)), (51, Some(2)), (117, Some(3))]);
    assert!(machine.fields.iter().skip(3).all(|field| field.key.is_none()));
}

#[tokio::test]
async fn a_field_that_takes_no_text_is_told_of() {
    let mut tenant = tenant();
    tenant.add_field(Field { lookup: 150, ..Field::text("Size") });
    let rig = Rig::bare(tenant, |_| {});
    let steps = rig.of_administrator().bootstrap(false).await.unwrap();
    let refused: Vec<&str> = steps.iter().filter(|step| step.outcome == StepOutcome::Refused).map(|step| step.what.as_str()).collect();
    assert_eq!(refused, ["field `Size`"]);
    assert!(step(&steps, "field `Size`").mend.is_some());
}

#[tokio::test]
async fn a_status_of_tickets_is_not_left_behind() {
    let mut tenant = tenant();
    tenant.statuses.remove(&5);
    let rig = Rig::bare(tenant, |_| {});
    let before = rig.sim.snapshot().ticket_statuses;
    let steps = rig.of_administrator().bootstrap(false).await.unwrap();
    assert_eq!(step(&steps, "status `Inactive`").outcome, StepOutcome::Refused);
    assert_eq!(rig.sim.snapshot().ticket_statuses, before);
    assert_eq!(step(&steps, "asset type `Virtual Machine`").outcome, StepOutcome::Made, "all else is made");
    // Another version takes it.
    rig.sim.settings(|settings| settings.asset_statuses_by_type = true);
    let steps = rig.of_administrator().bootstrap(false).await.unwrap();
    assert_eq!(step(&steps, "status `Inactive`").outcome, StepOutcome::Made);
    assert!(rig.sim.snapshot().statuses.values().any(|status| *status == Status { name: "Inactive".to_owned() }));
}

#[tokio::test]
async fn statuses_of_tickets_are_not_taken_for_those_of_assets() {
    let rig = Rig::new().await;
    rig.sim.settings(|settings| settings.ignored_parameters = ["type".to_owned()].into());
    let target = rig.of_administrator();
    let steps = target.bootstrap(true).await.unwrap();
    assert_eq!(step(&steps, "status `Active`").outcome, StepOutcome::Refused);
}

#[tokio::test]
async fn who_may_not_configure_is_told_who_may() {
    let rig = Rig::bare(tenant(), |_| {});
    rig.sim.edit(|tenant| tenant.groups.remove(&112));
    let steps = rig.target.bootstrap(false).await.unwrap();
    for what in ["asset group `Cloud`", "field `Size`", "asset type `Virtual Machine`"] {
        let step = step(&steps, what);
        assert_eq!(step.outcome, StepOutcome::Refused, "{step:?}");
        assert!(step.mend.as_ref().unwrap().contains("administrator"), "{step:?}");
    }
    assert_eq!(step(&steps, "site `Cloud`").outcome, StepOutcome::Made);
}

#[tokio::test]
async fn a_tenant_that_was_set_up_is_sound() {
    let rig = Rig::new().await;
    let findings = rig.target.doctor().await;
    assert!(findings.len() >= 4 && findings.iter().all(|finding| finding.outcome == Health::Ok), "{findings:#?}");
}

#[tokio::test]
async fn a_tenant_that_was_not_is_told_how() {
    let rig = Rig::bare(tenant(), |_| {});
    let findings = rig.target.doctor().await;
    let bad: Vec<_> = findings.iter().filter(|finding| finding.outcome == Health::Error).collect();
    assert_eq!(bad.len(), 1, "{findings:#?}");
    assert_eq!(bad[0].mend.as_deref(), Some("run `dewpoint bootstrap halo`"));
}

#[tokio::test]
async fn a_wrong_secret_is_told_as_one() {
    let rig = Rig::bare(Tenant::new(), |_| {});
    let target = HaloTarget::new(&config_of(&rig.sim, WORKER, "wrong")).unwrap();
    let findings = target.doctor().await;
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!((findings[0].check.as_str(), findings[0].outcome), ("credentials", Health::Error));
}

#[tokio::test]
async fn a_missing_status_ends_no_other_check() {
    let rig = Rig::new().await;
    rig.sim.edit(|tenant| tenant.statuses.retain(|_, status| status.name != "Inactive"));
    let findings = rig.target.doctor().await;
    let of_status = findings.iter().find(|finding| finding.text.contains("status `Inactive`")).unwrap();
    assert_eq!(of_status.outcome, Health::Warning, "{of_status:?}");
    assert!(findings.iter().any(|finding| finding.check == "relationships"), "{findings:#?}");
}
