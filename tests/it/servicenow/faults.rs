//! What goes wrong between the program and an instance: nothing is doubled, nothing lost, and nothing of others touched.

use std::time::{Duration, Instant};

use dewpoint_servicenow_sim::{ApiKey, Effect, Fault, Instance, Mishap, RateRule, RowRule, Secret, Sim, Start};
use serde_json::{Value, json};

use super::rig::machines;
use super::trial::{Trial, assert_same, instance, told, volume, wanted, with};
use crate::support::Inventory;
use crate::support::inventory::{instance_key, key};

/// So small that a few machines take several payloads: the first makes the place, the next records with their edges.
const SMALL: &str = "batch_size: 4";
const PAYLOADS: u64 = 4;

const OAUTH: &str = "{ oauth: { client_id: client-id, client_secret: env:SNOW_PASSWORD } }";

fn engine(effect: Effect) -> Fault {
    Fault::new(effect).api("identifyreconcile")
}

/// All the ways in which a change is made and its answer does not arrive, and the same where nothing was made.
fn lost_answers() -> Vec<Fault> {
    let effects = [
        Effect::Mishap(Mishap::Reset),
        Effect::QuotaKill,
        Effect::Mishap(Mishap::ResetBody { share: 0.5 }),
        Effect::Mishap(Mishap::CutConnection { share: 0.5 }),
        Effect::Mishap(Mishap::CutBody { share: 0.5 }),
        Effect::Mishap(Mishap::Html { status: 502 }),
        Effect::Hibernating,
    ];
    let after = effects.iter().map(|effect| Fault::new(effect.clone()).after_commit());
    after.chain([Effect::Mishap(Mishap::Reset), Effect::QuotaKill, Effect::Dropped].map(Fault::new)).collect()
}

#[test]
fn an_answer_that_is_lost_is_no_second_record() {
    for (number, fault) in lost_answers().into_iter().enumerate() {
        let trial = Trial::over(instance(), SMALL);
        let inventory = machines(10);
        trial.put(&inventory);
        // Another payload each time.
        let nth = number as u64 % PAYLOADS + 1;
        trial.sim().faults(vec![fault.clone().api("identifyreconcile").nth(nth).times(1)]);
        let sync = trial.sync(0);
        assert_eq!(sync["failed"], json!([]), "{fault:?}, payload {nth}: {sync:#}");
        let struck = trial.sim().calls().iter().filter(|call| call.fault.is_some()).count();
        assert_eq!(struck, 1, "{fault:?}, payload {nth}");
        trial.assert_whole(&inventory);
    }
}

#[test]
fn answers_that_are_lost_all_along_are_made_up_for_by_the_next_sync() {
    for fault in [Fault::new(Mishap::Reset).after_commit(), Fault::new(Effect::QuotaKill).after_commit(), Fault::new(Mishap::Reset)] {
        for first in [1, 2] {
            let trial = Trial::over(instance(), SMALL);
            let inventory = machines(10);
            trial.put(&inventory);
            trial.sim().faults(vec![fault.clone().api("identifyreconcile").nth(first)]);
            let sync = trial.sync(3);
            assert!(told(&sync).contains("did not answer"), "{sync:#}");
            trial.sim().faults(Vec::new());
            trial.sync(0);
            trial.assert_whole(&inventory);
        }
    }
}

#[test]
fn an_answer_that_never_comes_is_not_waited_for_for_ever() {
    let trial = Trial::over(instance(), &format!("{SMALL}\ntimeout: 2s"));
    let inventory = machines(10);
    trial.put(&inventory);
    trial.sim().faults(vec![engine(Effect::Mishap(Mishap::Hang)).nth(2).times(1).after_commit()]);
    trial.sync(0);
    trial.assert_whole(&inventory);
}

/// What is there changes in all ways at once: a machine is renamed, one ends, one begins, edges go and come, tags too.
fn before_and_after() -> (Inventory, Inventory) {
    let before = with(machines(8), "i-0002", json!({ "tags": { "rack": "1", "row": "7" } })).group("sg-2", json!({}));
    let after = with(before.clone(), "i-0002", json!({ "tags": { "rack": "2" }, "name": "renamed" })).without(&["i-0003", "i-0004"]);
    let after = after.instance("i-0003", json!({ "state": "stopped" }));
    let after = after.relation("protected_by", &instance_key("i-0003"), &key("security_group", "sg-2"));
    let after = after.instance("i-0005x", json!({ "tags": { "rack": "5" } }));
    (before, after.relation("protected_by", &instance_key("i-0005x"), &key("security_group", "sg-2")))
}

#[test]
fn a_change_whose_answer_is_lost_is_not_lost() {
    let (before, mut after) = before_and_after();
    // The one that ended keeps its record: it is looked at apart.
    after = with(after, "i-0004", json!({}));
    let lost = || [Fault::new(Mishap::Reset).after_commit(), Fault::new(Effect::QuotaKill).after_commit(), Fault::new(Mishap::Reset)];
    // Removals go as parts of one request, which fail each by itself as well.
    let parts = [Fault::new(Effect::QuotaKill).after_commit(), Fault::new(Effect::QuotaKill), Fault::new(Effect::Forbidden)];
    let whole = [Fault::new(Mishap::Reset).after_commit(), Fault::new(Mishap::Reset)];
    let faults = lost().map(|fault| fault.api("identifyreconcile")).into_iter().chain(whole.map(|fault| fault.api("batch")));
    for fault in faults.chain(parts.map(|fault| fault.api("table").method("DELETE"))) {
        let trial = Trial::over(instance(), SMALL);
        trial.put(&before);
        trial.sync(0);
        trial.put(&after);
        trial.sim().faults(vec![fault.clone()]);
        let sync = trial.sync(3);
        assert!(trial.sim().calls().iter().any(|call| call.fault.is_some()), "{fault:?} struck nothing: {sync:#}");
        trial.sim().faults(Vec::new());
        trial.sync(0);
        trial.assert_whole(&after);
    }
}

/// The update arrived and its answer did not; what was sent once more is refused; and the world moves back, to what the ledger knew last.
#[test]
fn what_is_refused_after_a_lost_answer_is_looked_up() {
    let trial = Trial::new();
    let before = machines(4);
    trial.put(&before);
    trial.sync(0);
    let renamed = |inventory, id| with(inventory, id, json!({ "name": "renamed" }));
    trial.put(&renamed(renamed(before.clone(), "i-0001"), "i-0002"));
    trial.sim().faults(vec![engine(Effect::Mishap(Mishap::Reset)).after_commit().times(1), engine(Effect::LockTimeout)]);
    let sync = trial.sync(3);
    assert!(told(&sync).contains("LOCK_TIMEOUT"), "{sync:#}");
    assert_eq!(trial.value("i-0001", "name"), "renamed");
    trial.put(&before);
    trial.sim().faults(Vec::new());
    trial.sync(0);
    trial.assert_whole(&before);
}

#[test]
fn a_retirement_whose_answer_is_lost_comes_about_once() {
    for fault in [Fault::new(Mishap::Reset).after_commit(), Fault::new(Effect::QuotaKill).after_commit(), Fault::new(Mishap::Reset)] {
        let trial = Trial::new();
        trial.put(&machines(8));
        trial.sync(0);
        let edges =
            |trial: &Trial| trial.content().iter().filter(|line| line.starts_with("vm_instance i-0003 ->")).cloned().collect::<Vec<_>>();
        assert_eq!(edges(&trial).len(), 2);
        trial.put(&machines(8).without(&["i-0003"]).instance("i-0003", json!({ "state": "terminated" })));
        // Past the time that a terminated machine is given.
        trial.wait(36);
        trial.sim().faults(vec![fault.clone().api("identifyreconcile")]);
        trial.sync(3);
        trial.sim().faults(Vec::new());
        trial.sync(0);
        assert_eq!([trial.value("i-0003", "install_status"), trial.value("i-0003", "operational_status")], ["7", "6"], "{fault:?}");
        trial.sim().clear_calls();
        trial.sync(0);
        assert_eq!(trial.snow.writes(), 0, "{:#?}", trial.sim().calls());
        // What it is identified by stays, the edge of the estate goes.
        assert_eq!(edges(&trial), ["vm_instance i-0003 -> Hosted on::Hosts -> aws_datacenter eu-west-1"], "{fault:?}");
        assert_eq!(trial.snow.marked()["cmdb_ci_vm_instance"], 8);
        trial.assert_strangers();
    }
}

/// Calls of an interface since the log was emptied.
fn calls_of(trial: &Trial, api: &str) -> u64 {
    trial.sim().counters().by_api.get(api).copied().unwrap_or_default()
}

#[test]
fn a_token_that_is_revoked_midway_is_had_anew() {
    for api in ["identifyreconcile", "table"] {
        let trial = Trial::over(instance().with_client_credentials(), "");
        trial.log_in(OAUTH, "client-secret", SMALL);
        let inventory = machines(10);
        trial.put(&inventory);
        let revoked = |nth| Fault::new(Effect::RevokeToken).api(api).nth(nth).times(1);
        trial.sim().faults(vec![revoked(3), revoked(4)]);
        let sync = trial.sync(0);
        assert_eq!(sync["failed"], json!([]), "{sync:#}");
        assert_eq!(calls_of(&trial, "oauth"), 3, "one for each token: {api}");
        trial.assert_whole(&inventory);
        assert_eq!(calls_of(&trial, "oauth"), 1, "an unchanged estate takes one token");
    }
}

#[test]
fn where_no_other_token_is_given_it_stops_and_goes_on_later() {
    let trial = Trial::over(instance().with_client_credentials(), "");
    trial.log_in(OAUTH, "client-secret", SMALL);
    let inventory = machines(10);
    trial.put(&inventory);
    let refused =
        Effect::Error { status: 401, message: "invalid_client".to_owned(), detail: Some("the application was switched off".to_owned()) };
    trial.sim().faults(vec![engine(Effect::RevokeToken).nth(3).times(1), Fault::new(refused).api("oauth").nth(2)]);
    let sync = trial.sync(3);
    assert!(told(&sync).contains("did not accept the credentials"), "{sync:#}");
    assert!(!sync.to_string().contains("client-secret"), "the secret was told");
    // Asking again and again locks users out.
    assert_eq!(calls_of(&trial, "oauth"), 2);
    trial.sim().faults(Vec::new());
    trial.sync(0);
    trial.assert_whole(&inventory);

    // Switched off as a whole: no target accepted its credentials.
    trial.sim().edit(|instance| instance.properties.clear());
    trial.sim().revoke_tokens();
    trial.sync(5);
}

/// The instance takes `the-key` for its integration user.
fn with_api_key(mut instance: Instance) -> Instance {
    instance.api_keys.push(ApiKey {
        key: Secret::new("the-key"),
        user_name: "integration".to_owned(),
        expires: None,
        policies: vec!["*".to_owned()],
        in_query: false,
    });
    instance
}

#[test]
fn an_api_key_does_for_a_whole_run_and_for_none_without_its_policy() {
    let instance = with_api_key(instance());
    let trial = Trial::over(instance, "");
    trial.log_in("{ api_key: env:SNOW_PASSWORD }", "the-key", SMALL);
    let (before, after) = (machines(10), with(machines(10), "i-0003", json!({ "name": "renamed" })));
    trial.put(&before);
    trial.sync(0);
    trial.assert_whole(&before);

    // The key ends while a run is under way.
    trial.put(&after.clone().group("sg-2", json!({})));
    trial.sim().faults(vec![engine(Effect::Unauthenticated)]);
    let sync = trial.sync(3);
    assert!(told(&sync).contains("did not accept the credentials"), "{sync:#}");
    assert!(!sync.to_string().contains("the-key"), "the key was told");
    trial.sim().faults(Vec::new());
    trial.sync(0);
    trial.assert_whole(&after.group("sg-2", json!({})));
    assert_eq!(calls_of(&trial, "oauth"), 0);

    trial.sim().edit(|instance| instance.api_keys[0].policies.clear());
    trial.sync(5);
}

#[test]
fn every_way_to_log_in_works_over_tls_and_only_with_a_certificate_that_is_trusted() {
    let instance = with_api_key(instance().with_client_credentials());
    let mut trial = Trial::over(instance, "");
    let start = Start { tls: true, ..Start::new(trial.sim().snapshot()) };
    trial.snow.sim = Sim::start_with(start).unwrap();
    trial.snow.configure("", "");
    trial.put(&machines(3));
    let sync = trial.sync(3);
    assert!(told(&sync).contains("certificate"), "{sync:#}");
    assert_eq!(trial.snow.sim.counters().requests, 0, "nobody logs in to whom it does not know");

    trial.snow.world.write("authority.pem", trial.snow.sim.authority().unwrap());
    let ways = [
        ("{ basic: { username: integration, password: env:SNOW_PASSWORD } }", "integration-password"),
        ("{ api_key: env:SNOW_PASSWORD }", "the-key"),
        (OAUTH, "client-secret"),
    ];
    for (machine_count, (auth, secret)) in (3..).zip(ways) {
        trial.log_in(auth, secret, "ca_file: authority.pem");
        trial.put(&machines(machine_count));
        trial.sync(0);
        trial.assert_whole(&machines(machine_count));
    }
}

#[test]
fn a_storm_of_refusals_passes() {
    let storms = [Effect::SemaphoreFull, Effect::RateLimited { retry_after_s: 1 }];
    for effect in storms {
        let trial = Trial::over(instance(), SMALL);
        let inventory = machines(10);
        trial.put(&inventory);
        let times = if effect == Effect::SemaphoreFull { 2 } else { 1 };
        trial.sim().faults(vec![engine(effect.clone()).nth(2).times(times), Fault::new(effect.clone()).api("table").nth(5).times(times)]);
        let sync = trial.sync(0);
        assert!(sync["waited_s"]["snow"].as_f64().is_some_and(|waited| waited > 0.0), "{effect:?}: {}", sync["waited_s"]);
        trial.assert_whole(&inventory);
    }
}

/// A limit of the instance's own: the program learns of it by the headers of answers that are none, and lets it set the pace.
#[test]
fn a_limit_of_the_instance_sets_the_pace() {
    let mut instance = instance();
    instance.rate_rules.push(RateRule { api: Some("identifyreconcile".to_owned()), user: None, role: None, limit: 2, window_s: 2 });
    let trial = Trial::over(instance, SMALL);
    let inventory = machines(10);
    trial.put(&inventory);
    let began = Instant::now();
    trial.sync(0);
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let refused = trial.sim().counters().by_status.get(&429).copied().unwrap_or_default();
    assert!(refused <= 3, "{refused} requests ran against the limit");
    trial.assert_whole(&inventory);
}

#[test]
fn a_long_wait_ends_the_run_and_is_not_slept_through() {
    let trial = Trial::over(instance(), SMALL);
    let inventory = machines(10);
    trial.put(&inventory);
    trial.sim().faults(vec![engine(Effect::RateLimited { retry_after_s: 812 }).nth(3)]);
    let began = Instant::now();
    let sync = trial.sync(3);
    assert!(began.elapsed() < Duration::from_secs(30), "it slept: {:?}", began.elapsed());
    assert!(sync["waited_s"]["snow"].as_f64().unwrap_or_default() < 5.0, "{}", sync["waited_s"]);
    let problem = sync["problems"].to_string();
    let is_told = (800..=812).any(|seconds| problem.contains(&format!("asks to wait {seconds} s")));
    assert!(is_told, "{problem}");
    assert!(sync["waiting"]["snow"].as_u64().is_some_and(|waiting| waiting > 0), "{sync:#}");
    // What the instance said holds for all that the run would have asked it.
    let calls = trial.sim().calls();
    let refused = calls.iter().position(|call| call.status == 429).unwrap();
    assert_eq!(calls.len(), refused + 1, "it went on asking: {:#?}", &calls[refused..]);

    // It still says so: the next run ends at once as well.
    trial.sync(3);
    trial.sim().faults(Vec::new());
    trial.sync(0);
    trial.assert_whole(&inventory);
}

/// Longer than the target may take, and shorter than a request may.
#[test]
fn a_wait_past_the_deadline_is_not_slept_through_at_a_question_either() {
    for class in ["sys_properties", "cmdb_ci_vm_instance"] {
        let trial = Trial::over(instance(), "deadline: 15s");
        let inventory = machines(4);
        trial.put(&inventory);
        trial.sim().faults(vec![Fault::new(Effect::RateLimited { retry_after_s: 40 }).api("table").class(class)]);
        let began = Instant::now();
        let sync = trial.sync(3);
        assert!(began.elapsed() < Duration::from_secs(15), "it slept: {:?}", began.elapsed());
        assert!(told(&sync).contains("asks to wait"), "{sync:#}");
        trial.sim().faults(Vec::new());
        trial.sync(0);
        trial.assert_whole(&inventory);
    }
}

const ASSET: &str = r#"mapping: { instance: { fields: { asset_tag: '"asset" in ci.tags ? ci.tags["asset"] : null' } } }"#;

/// 500 machines, each with its tag; one may lack it.
fn tagged(without: Option<usize>) -> Inventory {
    let tags = |i| if Some(i) == without { json!({}) } else { json!({ "asset": format!("A-{i}") }) };
    let inventory = Inventory::new().group("sg-1", json!({}));
    (0..500).fold(inventory, |inventory, i| inventory.instance(&format!("i-{i:04}"), json!({ "tags": tags(i) })))
}

/// How many machines of ours there are, and whether this one is among them.
fn standing(trial: &Trial, id: &str) -> (usize, bool) {
    let ours = trial.snow.values("sys_object_source", "name=Dewpoint^target_table=cmdb_ci_vm_instance", &["id"]);
    (ours.len(), ours.iter().any(|row| row[0].ends_with(id)))
}

#[test]
fn one_bad_record_among_500_fails_alone_in_the_instances_words() {
    let mut instance = instance();
    // What an administrator can do at any time.
    let mut column = instance.schema.column("cmdb_ci_vm_instance", "asset_tag").unwrap().clone();
    column.mandatory = true;
    instance.schema.add_column("cmdb_ci_vm_instance", column);
    let trial = Trial::over(instance, ASSET);
    trial.put(&tagged(Some(250)));
    let sync = trial.sync(3);
    assert_one_failed(&sync, "i-0250", "REQUIRED_ATTRIBUTE_EMPTY: mandatory field [asset_tag]");
    assert_eq!(standing(&trial, "i-0250"), (499, false));
    assert!(sync["calls"]["snow"]["reconcile"].as_u64().is_some_and(|calls| calls <= 5), "nothing was halved: {}", sync["calls"]);
    trial.put(&tagged(None));
    trial.sync(0);
    trial.assert_whole(&tagged(None));
}

#[track_caller]
fn assert_one_failed(sync: &Value, id: &str, words: &str) {
    let failed = sync["failed"].as_array().unwrap();
    assert_eq!(failed.len(), 1, "{failed:#?}");
    assert!(failed[0]["key"].as_str().unwrap().ends_with(id), "{failed:#?}");
    assert!(failed[0]["error"].as_str().unwrap().contains(words), "{failed:#?}");
}

#[test]
fn one_record_that_no_payload_survives_is_found_among_500() {
    let killed = (Effect::QuotaKill, "Transaction cancelled: maximum execution time exceeded");
    let text = "Script error in business rule \"Check asset\"";
    let refused = (Effect::Error { status: 400, message: text.to_owned(), detail: None }, text);
    for (effect, words) in [killed, refused] {
        let trial = Trial::over(instance(), ASSET);
        trial.put(&tagged(None));
        trial.sim().faults(vec![engine(effect).body_contains("i-0250")]);
        let sync = trial.sync(3);
        assert_one_failed(&sync, "i-0250", words);
        assert_eq!(standing(&trial, "i-0250"), (499, false));
        // Two halves for each halving of a batch of 200, and the three batches with their place.
        assert!(sync["calls"]["snow"]["reconcile"].as_u64().is_some_and(|calls| calls <= 4 + 16), "{}", sync["calls"]);
        trial.sim().faults(Vec::new());
        trial.sync(0);
        trial.assert_whole(&tagged(None));
    }
}

#[test]
fn a_data_source_that_is_taken_away_midway_parks_nothing() {
    for nth in [1, 3] {
        let trial = Trial::over(instance(), SMALL);
        let inventory = machines(10);
        trial.put(&inventory);
        trial.sim().faults(vec![engine(Effect::RemoveDataSource { name: "Dewpoint".to_owned() }).nth(nth).times(1)]);
        let sync = trial.sync(3);
        assert!(told(&sync).contains("data source [Dewpoint] is not a choice of cmdb_ci.discovery_source"), "{sync:#}");
        for table in ["cmdb_ire_partial_payloads", "cmdb_ire_incomplete_payloads"] {
            assert_eq!(trial.snow.values(table, "", &["sys_id"]).len(), 0, "{table}");
        }
        // Still away: the same again, and no more.
        trial.sync(3);
        trial.sim().edit(|instance| instance.add_data_source("Dewpoint"));
        trial.wait(24);
        trial.sync(0);
        trial.assert_whole(&inventory);
    }
}

#[test]
fn a_class_that_is_missing_keeps_no_other_back() {
    let mut instance = instance();
    let whole = instance.schema.clone();
    instance.schema.remove_class("cmdb_ci_storage_volume");
    let trial = Trial::over(instance, SMALL);
    let (rest, all) = (machines(6).scope("volume", "complete"), volume(volume(machines(6), "vol-1"), "vol-2"));
    trial.put(&all);
    let sync = trial.sync(3);
    assert!(told(&sync).contains("cmdb_ci_storage_volume"), "{sync:#}");
    let marked = trial.snow.marked();
    assert_eq!((marked["cmdb_ci_vm_instance"], marked.get("cmdb_ci_storage_volume")), (6, None));
    assert_same(&trial.content(), &wanted(&rest), "without the class");
    // The store app is installed.
    trial.sim().edit(|instance| instance.schema = whole);
    trial.wait(24);
    trial.sync(0);
    trial.assert_whole(&all);
}

#[test]
fn a_verification_that_is_not_whole_concludes_nothing() {
    let cut = |class: &str| vec![Fault::new(Effect::PartialResult { share: 0.5 }).api("table").class(class)];
    for table in ["sys_object_source", "cmdb_ci_vm_instance", "cmdb_key_value"] {
        let trial = Trial::over(instance(), "verify_every: 2h\nheartbeat: never");
        let inventory = with(machines(6), "i-0002", json!({ "tags": { "rack": "1" } }));
        trial.put(&inventory);
        trial.sync(0);
        trial.wait(2);
        trial.sim().clear_calls();
        trial.sim().faults(cut(table));
        let sync = trial.sync(3);
        assert!(told(&sync).contains("was cut off"), "{table}: {sync:#}");
        assert_eq!(trial.snow.writes(), 0, "{table}");
        trial.sim().faults(Vec::new());
        // The user loses the right to see some rows.
        let hidden = RowRule { table: table.to_owned(), query: String::new(), role: "admin".to_owned() };
        trial.sim().edit(|instance| instance.row_rules.push(hidden));
        let sync = trial.sync(3);
        assert!(told(&sync).contains(&format!("rows of `{table}`")), "{table}: {sync:#}");
        assert_eq!(trial.snow.writes(), 0, "{table}");
        trial.sim().edit(|instance| instance.row_rules.clear());
        trial.sync(0);
        trial.assert_whole(&inventory);
    }
}
