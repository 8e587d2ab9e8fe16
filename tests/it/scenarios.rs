//! Stories in time, from `tests/scenarios/*.yaml`: what the clouds show at one instant after another, and what the CMDB must hold then.

mod check;
mod clouds;
mod story;
mod tree;

use std::collections::BTreeSet;
use std::path::PathBuf;

use check::Telling;
use story::Story;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// Tells a story to its first step that does not hold.
#[track_caller]
fn tell(name: &str) {
    let file = format!("{name}.yaml");
    let text = std::fs::read_to_string(folder().join(&file)).unwrap();
    if let Err(fault) = try_tell(&text) {
        panic!("{file}:{fault}");
    }
}

fn try_tell(text: &str) -> Result<(), String> {
    let story = Story::parse(text)?;
    let mut telling = Telling::new(&story);
    for step in &story.steps {
        let wrong = telling.tell(step)?;
        if !wrong.is_empty() {
            return Err(format!("{}: {}, at {}:\n  {}", step.line, story.title, step.at_text, wrong.join("\n  ")));
        }
    }
    Ok(())
}

/// One test for each file: `a_b` tells `a-b.yaml`.
macro_rules! stories {
    ($($name:ident)+) => {
        $(#[test]
        fn $name() {
            tell(&stringify!($name).replace('_', "-"));
        })+

        const STORIES: &[&str] = &[$(stringify!($name)),+];
    };
}

stories! {
    absent_once
    accepted_gap
    account_closed
    blue_green
    clock_steps_back
    copied_not_moved
    deferred_by_rule
    expiry_tag
    fleet_emptied
    fleet_in_a_denied_region
    fleet_loses_members_unseen
    fleet_renamed
    fleet_scales
    fleet_without_a_name
    fold_rule_removed_later
    fold_rule_to_many
    gone_for_good
    group_made_again
    group_scope_denied
    group_size_flaps
    grows_old_enough
    ignored_fleet
    image_builders
    karpenter_pool
    kept_volume_of_an_agent
    long_lived_cluster
    long_stopped
    look_up_says_gone
    member_leaves_its_fleet
    moved_to_another_group
    moves_between_groups
    no_time_of_birth
    node_loses_its_cluster
    outlives_its_machine
    own_rules_before_presets
    owners_change
    pets_among_cattle
    production_in_no_hurry
    purged_in_the_end
    record_waits_for_its_fleet
    recreated_under_its_name
    region_denied
    region_disabled
    rule_added_later
    rule_added_to_many
    rule_fails_on_one
    rule_removed_later
    scale_set_on_azure
    service_across_clouds
    shown_long_after_its_end
    source_narrowed
    source_renamed
    spot_fleet_reclaimed
    spot_pool_of_short_lives
    spot_reclaim
    stale_listing_after_termination
    started_again_is_not_young
    stop_start_stop
    suddenly_empty
    ten_minute_machines
    terminated_at_once
    too_many_at_once
    transient_cluster
    truncated_listing
}

#[test]
fn every_file_is_told() {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let files: BTreeSet<String> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let told: BTreeSet<String> = STORIES.iter().map(|name| name.replace('_', "-")).collect();
    assert_eq!(told, files);
}

#[test]
fn the_story_in_the_readme_holds() {
    let readme = std::fs::read_to_string(folder().join("README.md")).unwrap();
    let story = readme.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    try_tell(story).unwrap();
}

/// What is wrong with a story, told without a run.
#[track_caller]
fn check_fault(text: &str, expected: &str) {
    let fault = match Story::parse(text) {
        Err(fault) => fault,
        Ok(story) => {
            let mut clouds = clouds::Clouds::default();
            let steps = story.steps.iter();
            let faults = steps.filter_map(|step| clouds.take(&step.clouds).and_then(|()| clouds.inventory(&step.gaps)).err());
            faults.collect::<Vec<_>>().join("\n")
        }
    };
    assert!(fault.starts_with(expected), "{fault}");
}

#[test]
fn slips_of_the_pen_are_told_with_their_line() {
    check_fault(
        "story: a\nstep: []\nsteps: []\n",
        "2: unknown key `step`: expected story, lifecycle, guardrails, ownership, cmdb, source, warned, steps",
    );
    check_fault("story: a\n", "1: `steps` is missing");
    check_fault("story: a\nsteps:\n  - at: 0\n    then: {}\n    cloud: {}\n", "5: unknown key `cloud`");
    check_fault("story: a\nsteps:\n  - at: tomorrow\n    then: {}\n", "3: `tomorrow` is no time since the beginning");
    check_fault("story: a\nsteps:\n  - at: 0\n    then:\n      record: {}\n", "5: unknown key `record`");
    check_fault(
        "story: a\nsteps:\n  - at: 0\n    then:\n      records:\n        web-1: alive\n",
        "6: a record is `live`, `retired` or `none`",
    );
    check_fault("story: a\nsteps:\n  - at: 0\n    then:\n      edges: [web-1 member_of]\n", "5: an edge is `FROM relation TO`");
    let clouds = |line: &str| format!("story: a\nsteps:\n  - at: 0\n    clouds:\n      {line}\n    then: {{}}\n");
    check_fault(&clouds("web-1: { sice: big }"), "5: web-1: unknown key `sice`: expected a relation or one of");
    check_fault(&clouds("machine/web-1:"), "5: machine/web-1: `machine` in `machine/web-1` is no kind");
    check_fault(&clouds("web-1: gone"), "5: web-1: it is gone before it was there");
    check_fault(&clouds("web-1: { member_of: scaling_group/web }"), "5: web-1: `scaling_group/web` was never shown");
    check_fault(&clouds("web-3..1:"), "5: `web-3..1` counts backwards");
    check_fault(&clouds("web-1: {}\n      web-1: {}"), "6: key `web-1` is written twice");
    let gaps = |line: &str| format!("story: a\nsteps:\n  - at: 0\n    gaps:\n      {line}\n    then: {{}}\n");
    check_fault(&gaps("instances: denied"), "5: a gap is `KIND`");
    check_fault(&gaps("instance@mars: denied"), "5: nothing is listed there");
}

#[test]
fn a_step_that_does_not_hold_is_told_whole() {
    let story = "story: A slip\nsteps:\n  - at: 0\n    clouds: { web-1: {}, web-2: {} }\n    then:\n      exit: 3\n      records: { web-1: retired, web-2: none }\n      edges: [web-1 contains web-2]\n      deferred: 7\n";
    let fault = try_tell(story).unwrap_err();
    for expected in [
        "3: A slip, at 0:",
        "exit code 0, expected 3",
        "deferred: 0, expected 7",
        "the record of web-1 is live, expected retired",
        "web-2 has a record, expected none",
        "edges, missing: web-1 contains web-2",
    ] {
        assert!(fault.contains(expected), "{expected} in {fault}");
    }
}
