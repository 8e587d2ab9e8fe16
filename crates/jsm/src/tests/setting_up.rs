//! Bootstrap and checks.

use std::collections::BTreeMap;
use std::sync::Arc;

use dewpoint_assets_sim::{Attribute, Kind as Holds, Site};
use dewpoint_core::doctor::Health;
use dewpoint_core::model::Kind;
use dewpoint_core::target::{StepOutcome, Target as _};

use super::rig::{Rig, config_of};
use crate::{AttributeShape, JsmConfig, JsmTarget, Mapping, Override, OwnField, Statuses, value_of};

/// What is wrong with a site that was set up, once people did something to it.
async fn refused(edit: impl FnOnce(&mut Site)) -> Vec<(String, String)> {
    let mut rig = Rig::over(Site::new()).await;
    rig.sim.edit(edit);
    rig.anew();
    refusals(&rig.target).await
}

async fn refusals(target: &JsmTarget) -> Vec<(String, String)> {
    let steps = target.bootstrap(true).await.unwrap().into_iter().filter(|step| step.outcome == StepOutcome::Refused);
    steps.map(|step| (step.what, step.text.unwrap())).collect()
}

fn attribute<'s>(site: &'s mut Site, name: &str) -> &'s mut Attribute {
    site.attributes.values_mut().find(|attribute| attribute.name == name).unwrap()
}

#[tokio::test]
async fn what_is_there_is_not_made_again() {
    let rig = Rig::over(Site::new()).await;
    let steps = rig.target.bootstrap(false).await.unwrap();
    assert!(steps.len() > 100 && steps.iter().all(|step| step.outcome == StepOutcome::Present), "{steps:#?}");
    assert!(rig.sim.calls().iter().all(|call| call.method == "GET"), "nothing is sent");
}

#[tokio::test]
async fn a_dry_run_makes_nothing_and_says_the_same() {
    let rig = Rig::bare(Site::new());
    let dry = rig.target.bootstrap(true).await.unwrap();
    assert!(rig.sim.calls().iter().all(|call| call.method == "GET"), "nothing is sent");
    let real = rig.of_administrator().bootstrap(false).await.unwrap();
    let names = |steps: &[dewpoint_core::target::Step]| steps.iter().map(|step| step.what.clone()).collect::<Vec<_>>();
    assert_eq!(names(&dry), names(&real));
    assert!(dry.iter().all(|step| step.outcome == StepOutcome::WouldMake));
    assert!(real.iter().all(|step| step.outcome == StepOutcome::Made), "{real:#?}");
}

#[tokio::test]
async fn a_site_that_was_set_up_is_sound() {
    let rig = Rig::over(Site::new()).await;
    let findings = rig.target.doctor().await;
    assert!(findings.iter().all(|finding| finding.outcome == Health::Ok), "{findings:#?}");
}

#[tokio::test]
async fn what_people_made_of_attributes_is_told() {
    let found = refused(|site| attribute(site, "External ID").unique = false).await;
    assert!(matches!(found.as_slice(), [(what, _)] if what == "attribute `External ID` of `Cloud Resource`"), "{found:?}");
    let found = refused(|site| attribute(site, "Located In").maximum = Some(1)).await;
    assert!(matches!(found.as_slice(), [(_, text)] if text.contains("any number")), "{found:?}");
    let found = refused(|site| {
        let other = site.type_named("Volume").unwrap().id;
        let references = Attribute::references("Security Groups", other).kind;
        attribute(site, "Security Groups").kind = references;
    });
    let found = found.await;
    assert!(found.iter().any(|(_, text)| text.contains("`Volume`") && text.contains("`Security Group`")), "{found:?}");
    let found = refused(|site| {
        let active = site.statuses.values().find(|status| status.name == "Active").unwrap().id;
        attribute(site, "Lifecycle").kind = Holds::Status { allowed: [active].into() };
    });
    let found = found.await;
    assert!(matches!(found.as_slice(), [(what, text)] if what.contains("Lifecycle") && text.contains("status")), "{found:?}");
    let found = refused(|site| {
        let moved = site.types.values_mut().find(|own| own.name == "Volume").unwrap();
        moved.parent_id = None;
    });
    let found = found.await;
    assert!(found.iter().any(|(what, text)| what == "object type `Volume`" && text.contains("below")), "{found:?}");
}

#[tokio::test]
async fn what_a_parent_does_not_pass_on_is_made_below_it() {
    let mut rig = Rig::over(Site::new()).await;
    rig.sim.edit(|site| site.types.values_mut().find(|own| own.name == "Cloud Resource").unwrap().inherited = false);
    rig.anew();
    let steps = rig.target.bootstrap(true).await.unwrap();
    let step = steps.iter().find(|step| step.what == "attribute `External ID` of `Volume`");
    assert_eq!(step.map(|step| step.outcome), Some(StepOutcome::WouldMake));
}

#[tokio::test]
async fn kinds_of_one_type_agree_on_what_it_holds() {
    let rig = Rig::over(Site::new()).await;
    let of = |kind: Kind, shape| {
        let field = OwnField { value: value_of(kind, "ci.name").unwrap(), shape: Some(shape) };
        (kind, Override { class: Some("Server".to_owned()), fields: BTreeMap::from([("Label".to_owned(), field)]) })
    };
    let overrides = [of(Kind::Instance, AttributeShape::Text), of(Kind::ScalingGroup, AttributeShape::TextArea)].into();
    let mapping = Arc::new(Mapping::with(&overrides, Statuses::default()).unwrap());
    let target = JsmTarget::new(&JsmConfig { mapping, ..config_of(&rig.sim, "admin") }).unwrap();
    let found = refusals(&target).await;
    assert!(matches!(found.as_slice(), [(what, _)] if what == "attribute `Label` of `Server`"), "{found:?}");
}
