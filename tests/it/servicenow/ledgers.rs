//! Ledgers that are lost or old, instances that are copied or moved, and two ledgers on one instance.

use dewpoint_servicenow_sim::{Instance, Sim};
use serde_json::{Value, json};

use super::rig::machines;
use super::trial::{Trial, instance, populate, told, with};
use crate::support::{Ran, World};

fn lose_ledger(trial: &Trial) {
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(trial.snow.world.path(&format!("dewpoint.db{end}")));
    }
}

/// Puts another instance in the place of the one that the configuration names, under an address of its own.
fn move_to(trial: &mut Trial, instance: Instance) -> Sim {
    let before = std::mem::replace(&mut trial.snow.sim, Sim::start(instance).unwrap());
    trial.snow.configure("", "");
    before
}

#[test]
fn a_lost_ledger_finds_all_and_changes_what_is_due() {
    let trial = Trial::new();
    trial.put(&machines(8));
    trial.sync(0);
    let ids = |trial: &Trial| trial.snow.values("sys_object_source", "name=Dewpoint", &["id", "target_sys_id"]);
    let before = ids(&trial);
    lose_ledger(&trial);
    // The world went on meanwhile: one is renamed, one is new, one is gone.
    let after = with(machines(9), "i-0002", json!({ "name": "renamed" }));
    trial.put(&after.clone().without(&["i-0005"]));
    let sync = trial.sync(0);
    assert!(told(&sync).contains("recovered 9 records"), "{sync:#}");
    assert_eq!(sync["counts"]["snow"]["create"], 1, "{sync:#}");
    assert_eq!(sync["counts"]["snow"]["retire"], Value::Null, "{sync:#}");
    let now = ids(&trial);
    assert!(before.iter().all(|mark| now.contains(mark)), "a record of ours stands for something else");
    // It was there all the time.
    trial.put(&after);
    trial.sync(0);
    trial.assert_whole(&after);
}

#[test]
fn a_ledger_that_is_lost_with_an_answer_makes_no_second_record() {
    use dewpoint_servicenow_sim::{Fault, Mishap};
    let trial = Trial::over(instance(), "batch_size: 4");
    trial.put(&machines(10));
    trial.sim().faults(vec![Fault::new(Mishap::Reset).api("identifyreconcile").nth(3).after_commit()]);
    trial.sync(3);
    trial.sim().faults(Vec::new());
    lose_ledger(&trial);
    trial.sync(0);
    trial.sync(0);
    trial.assert_whole(&machines(10));
}

#[test]
fn an_old_copy_of_the_ledger_makes_nothing_twice() {
    let trial = Trial::new();
    trial.put(&machines(8));
    trial.sync(0);
    let old = std::fs::read(trial.snow.world.path("dewpoint.db")).unwrap();
    trial.put(&with(machines(10), "i-0002", json!({ "name": "renamed" })));
    trial.sync(0);
    lose_ledger(&trial);
    std::fs::write(trial.snow.world.path("dewpoint.db"), old).unwrap();
    let last = with(machines(11), "i-0002", json!({ "name": "renamed again" }));
    trial.put(&last);
    trial.sync(0);
    trial.sync(0);
    trial.assert_whole(&last);
}

#[test]
fn a_clone_is_no_place_to_go_on_by_itself() {
    let mut trial = Trial::new();
    trial.put(&machines(6));
    trial.sync(0);
    let clone = trial.sim().snapshot();
    let original = move_to(&mut trial, clone);
    trial.put(&machines(8));
    let before = trial.content();
    let sync = trial.sync(2);
    assert!(sync["problems"].to_string().contains("dewpoint target recover snow"), "{sync:#}");
    trial.json(&["plan"], 2);
    assert_eq!(trial.content(), before);
    assert_eq!(trial.snow.writes(), 0);

    let untouched = original.snapshot().tables();
    trial.json(&["target", "recover", "snow"], 0);
    trial.wait(24 * 365);
    trial.sync(0);
    trial.assert_whole(&machines(8));
    assert!(original.snapshot().tables() == untouched, "the original was written to");

    // And back: it is as much another place.
    drop(std::mem::replace(&mut trial.snow.sim, original));
    trial.snow.configure("", "");
    trial.sync(2);
    trial.json(&["target", "recover", "snow"], 0);
    trial.wait(24 * 365);
    trial.sync(0);
    trial.assert_whole(&machines(8));
}

/// An instance whose id the user may read.
fn named(id: &str) -> Instance {
    let mut instance = instance();
    instance.users.iter_mut().find(|user| user.user_name == "integration").unwrap().roles.push("admin".to_owned());
    instance.insert("sys_properties", &[("name", "instance_id"), ("value", id)]);
    instance
}

#[test]
fn an_instance_under_a_new_address_is_rebound() {
    let mut trial = Trial::over(named("11111111111111111111111111111111"), "");
    trial.put(&machines(6));
    trial.sync(0);
    let same = trial.sim().snapshot();
    move_to(&mut trial, same);
    trial.put(&machines(8));
    let sync = trial.sync(2);
    assert!(sync["problems"].to_string().contains("dewpoint target rebind snow"), "{sync:#}");
    assert_eq!(trial.snow.writes(), 0);
    trial.json(&["target", "rebind", "snow"], 0);
    trial.sync(0);
    trial.assert_whole(&machines(8));
}

#[test]
fn a_clone_with_an_id_of_its_own_under_the_old_address_is_another_place() {
    let mut trial = Trial::over(named("11111111111111111111111111111111"), "");
    trial.put(&machines(6));
    trial.sync(0);
    let property = trial.sim().rows("sys_properties", "name=instance_id").remove(0).0;
    trial.people_change(&property, &[("value", "22222222222222222222222222222222")]);
    trial.put(&machines(8));
    let sync = trial.sync(2);
    assert!(sync["problems"].to_string().contains("dewpoint target recover snow"), "{sync:#}");
    trial.json(&["target", "rebind", "snow"], 2);
    trial.sim().clear_calls();
    trial.json(&["plan"], 2);
    assert_eq!(trial.snow.writes(), 0);
    trial.json(&["target", "recover", "snow"], 0);
    trial.wait(24 * 365);
    trial.sync(0);
    trial.assert_whole(&machines(8));
}

#[test]
fn an_emptied_instance_is_noticed_before_anything_is_sent() {
    let trial = Trial::new();
    trial.put(&machines(6));
    trial.sync(0);
    let mut emptied = instance();
    populate(&mut emptied);
    trial.sim().edit(|there| *there = emptied);
    trial.put(&machines(8));
    trial.sim().clear_calls();
    let sync = trial.sync(2);
    assert!(sync["problems"].to_string().contains("holds none of the records"), "{sync:#}");
    assert_eq!(trial.snow.writes(), 0);
    trial.json(&["target", "recover", "snow"], 0);
    trial.sync(0);
    trial.assert_whole(&machines(8));
}

#[test]
fn marks_of_records_that_are_gone_are_nobodys() {
    let trial = Trial::new();
    trial.put(&machines(6));
    trial.sync(0);
    // An administrator removes all of it; the rows of sources stay behind.
    trial.sim().edit(|instance| {
        let marked: Vec<String> =
            instance.find("sys_object_source", "name=Dewpoint").into_iter().map(|(_, row)| row.values["target_sys_id"].clone()).collect();
        for record in &marked {
            instance.delete(record);
        }
    });
    lose_ledger(&trial);
    trial.put(&machines(3));
    for _ in 0..4 {
        trial.sync(0);
    }
    assert_eq!(trial.sim().rows("cmdb_ci_vm_instance", "discovery_source=Dewpoint").len(), 3);
}

#[test]
fn an_instance_that_hides_its_id_is_known_by_its_records() {
    let mut trial = Trial::new();
    trial.put(&machines(6));
    trial.sync(0);
    // Another one, which is no copy.
    let home = move_to(&mut trial, instance());
    trial.sync(2);
    trial.json(&["target", "rebind", "snow"], 2);
    let same = home.snapshot();
    move_to(&mut trial, same);
    trial.put(&machines(8));
    let sync = trial.sync(2);
    assert!(sync["problems"].to_string().contains("dewpoint target rebind snow"), "{sync:#}");
    trial.json(&["target", "rebind", "snow"], 0);
    trial.sync(0);
    trial.assert_whole(&machines(8));
}

#[test]
fn a_user_who_gets_or_loses_a_role_does_not_make_it_another_instance() {
    let trial = Trial::over(named("11111111111111111111111111111111"), "");
    let role = |is_admin: bool| {
        trial.sim().edit(|instance| {
            let user = instance.users.iter_mut().find(|user| user.user_name == "integration").unwrap();
            user.roles.retain(|role| role != "admin");
            user.roles.extend(is_admin.then(|| "admin".to_owned()));
        });
    };
    role(false);
    trial.put(&machines(6));
    trial.sync(0);
    role(true);
    trial.put(&machines(7));
    trial.sync(0);
    // To know it by its id from now on takes a word.
    trial.json(&["target", "recover", "snow"], 0);
    role(false);
    trial.put(&machines(8));
    let sync = trial.sync(2);
    assert!(sync["problems"].to_string().contains("instance_id"), "{sync:#}");
    trial.json(&["target", "recover", "snow"], 0);
    trial.sync(0);
    trial.assert_whole(&machines(8));
}

fn sync_in(world: &World, at: &str) -> Ran {
    let mut command = world.command(&["sync", "--at", at, "--output", "json"]);
    Ran::of(&command.env("SNOW_PASSWORD", "integration-password").output().unwrap())
}

#[test]
fn a_second_ledger_that_has_records_of_its_own_elsewhere_is_refused() {
    let trial = Trial::new();
    trial.put(&machines(6));
    trial.sync(0);
    // Another one, at home on another instance.
    let mut other = Trial::new();
    other.put(&machines(7));
    other.sync(0);
    let before = trial.sim().snapshot().tables();
    let home = std::mem::replace(&mut other.snow.sim, Sim::start(trial.sim().snapshot()).unwrap());
    other.snow.configure("", "");
    other.sync(2);
    let refused = other.json(&["target", "recover", "snow"], 2);
    assert!(refused.to_string().contains("another ledger"), "{refused:#}");
    other.sync(2);
    assert!(other.sim().snapshot().tables() == before, "something was changed");
    drop(std::mem::replace(&mut other.snow.sim, home));
    trial.assert_whole(&machines(6));
}

#[test]
fn records_of_another_ledger_stop_the_target() {
    let trial = Trial::new();
    trial.put(&machines(6));
    trial.sync(0);
    // Another ledger made the next machine's record, and one that we do not know.
    let theirs = trial.sim().edit(|instance| {
        let record = instance.insert("cmdb_ci_vm_instance", &[("name", "i-0006"), ("object_id", "i-0006")]);
        let key = "arn:aws:ec2:eu-west-1:123456789012:instance/i-0006";
        let feed = "ffffffffffffffffffffffffffffffff";
        let mark = [
            ("name", "Dewpoint"),
            ("id", key),
            ("source_feed", feed),
            ("target_sys_id", record.as_str()),
            ("target_table", "cmdb_ci_vm_instance"),
        ];
        [instance.insert("sys_object_source", &mark), record]
    });
    let before = trial.sim().snapshot().tables();
    trial.put(&with(machines(8), "i-0002", json!({ "name": "renamed" })));
    let sync = trial.sync(2);
    assert!(sync["problems"].to_string().contains("another ledger"), "{sync:#}");
    assert!(trial.sim().snapshot().tables() == before, "something was changed");
    // A full read finds them wherever they are.
    trial.put(&machines(6));
    trial.wait(24);
    let sync = trial.sync(2);
    assert!(sync["problems"].to_string().contains("another ledger"), "{sync:#}");
    assert!(trial.sim().snapshot().tables() == before, "something was changed");
    // A ledger that is new finds two, and takes neither over.
    let world = trial.another_ledger();
    let ran = sync_in(&world, "2026-02-03T00:00:00Z");
    assert_eq!(ran.code, 2, "{}\n{}", ran.out, ran.err);
    assert!(trial.sim().snapshot().tables() == before, "something was changed");

    for row in theirs {
        trial.sim().edit(|instance| instance.delete(&row));
    }
    trial.sync(0);
    trial.assert_whole(&machines(6));
}

#[test]
fn another_program_of_ours_under_a_name_of_its_own_is_a_stranger() {
    let trial = Trial::new();
    trial.put(&machines(6));
    trial.sync(0);
    trial.sim().edit(|instance| instance.add_data_source("Other"));
    let before = trial.content();
    let world = trial.another_ledger();
    let text = std::fs::read_to_string(world.path("dewpoint.yaml")).unwrap();
    world.write("dewpoint.yaml", &format!("{text}    discovery_source: Other\n"));
    let ran = sync_in(&world, "2026-02-01T05:00:00Z");
    assert_eq!(ran.code, 4, "{}\n{}", ran.out, ran.err);
    assert_eq!(trial.content(), before);
    trial.assert_whole(&machines(6));
}
