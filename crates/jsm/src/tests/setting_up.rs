//! Bootstrap and checks.

use dewpoint_assets_sim::Site;
use dewpoint_core::doctor::Health;
use dewpoint_core::target::{StepOutcome, Target as _};

use super::rig::Rig;

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
