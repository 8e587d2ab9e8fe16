//! What goes wrong between the program and a CMDB behind a REST interface, and what people do there meanwhile: one suite, which every such target passes.
//!
//! Kills and faults at random are in [`crate::kill::remote`]; what only one target has is in its own module.

use std::cell::Cell;

use serde_json::{Value, json};

use crate::kill::remote::{Remote, assert_same};
use crate::support::inventory::{instance_key, key};
use crate::support::{Inventory, Ran};

/// What goes wrong with requests of one sort, in each CMDB in its own way.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wrong {
    /// New records are written, and the answer does not arrive.
    LostAnswer,
    /// Nothing arrives.
    LostRequest,
    /// Writes are to come so many seconds later.
    Throttled(u64),
    /// Nobody is let in any more.
    LoggedOut,
    /// Records may not be written.
    NotAllowed,
    /// Pages of records arrive in part.
    CutPage,
    /// What names this machine is refused.
    Poison(&'static str),
}

/// A CMDB in which this can go wrong.
pub(crate) trait Scripted: Remote {
    /// The fault, from the nth matching request on.
    fn wrong(wrong: Wrong, nth: u64) -> Self::Fault;
    /// Only so often.
    fn times(fault: Self::Fault, times: u64) -> Self::Fault;
    /// People add a record for a machine; it is a stranger's from now on.
    fn people_add(&mut self, native_id: &str);
    /// People rename the record of a machine.
    fn people_rename(&self, native_id: &str, name: &str);
    /// The name of the one record of a machine.
    fn name_of(&self, native_id: &str) -> String;
}

/// A CMDB whose pages may hold fewer records than are asked for.
pub(crate) trait Capped: Scripted {
    /// Pages hold a few records, whatever is asked for.
    fn small_pages(&self);
}

/// Runs the suite against a CMDB.
macro_rules! scripts {
    // Of a CMDB whose pages hold fewer records than are asked for, as it likes.
    ($remote:ty, capped) => {
        crate::scripts::scripts!($remote: pages_of_a_few_show_everything,);
    };
    ($remote:ty) => {
        crate::scripts::scripts!($remote:
            repeats_write_nothing, an_answer_that_is_lost_is_no_second_record,
            answers_that_are_lost_all_along_are_made_up_for, a_short_wait_is_waited_for, a_long_wait_ends_the_run,
            who_is_not_let_in_any_more_goes_on_later, what_is_denied_is_told_and_done_later,
            what_comes_back_after_its_removal_is_made_though_it_was_refused_once, a_page_that_is_cut_off_concludes_nothing,
            one_bad_record_fails_alone, a_record_of_people_is_held_and_left, a_record_of_people_is_adopted_where_that_is_allowed,
            a_record_of_people_is_contributed_to_where_that_is_allowed, what_people_edit_is_corrected, a_lost_ledger_finds_all, a_ledger_that_is_lost_with_an_answer_makes_no_second_record,
            an_old_copy_of_the_ledger_makes_nothing_twice,
        );
    };
    ($remote:ty: $($script:ident,)+) => {
        $(#[test]
        fn $script() {
            crate::scripts::$script::<$remote>();
        })+
    };
}
pub(crate) use scripts;

/// So small that a few machines take several batches.
const SMALL: &str = "batch_size: 4";

const COUNT: usize = 10;

/// Where each answer that is lost is waited for.
const FEW: usize = 5;

/// Machines behind one group.
fn machines(count: usize) -> Inventory {
    (1..=count).fold(Inventory::new().group("sg-1", json!({})).instances(count), |inventory, number| {
        inventory.relation("protected_by", &instance_key(&format!("i-{number:04}")), &key("security_group", "sg-1"))
    })
}

/// With one of them as it is now.
fn with(inventory: Inventory, native_id: &str, over: Value) -> Inventory {
    let inventory = inventory.without(&[native_id]).instance(native_id, over);
    inventory.relation("protected_by", &instance_key(native_id), &key("security_group", "sg-1"))
}

/// A CMDB, and the hours that went by.
struct Play<R> {
    remote: R,
    keys: &'static str,
    hours: Cell<u64>,
}

impl<R: Scripted> Play<R> {
    fn new(keys: &'static str) -> Self {
        Self { remote: R::start(keys), keys, hours: Cell::new(0) }
    }

    fn put(&self, inventory: &Inventory) {
        self.remote.world().put(inventory);
    }

    fn wait(&self, hours: u64) {
        self.hours.set(self.hours.get() + hours);
    }

    /// A sync, an hour after the last.
    #[track_caller]
    fn sync(&self, code: i32) -> Value {
        self.sync_with(&[code])
    }

    /// A sync that ends in one of several ways.
    #[track_caller]
    fn sync_with(&self, codes: &[i32]) -> Value {
        self.wait(1);
        let first: jiff::Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        let at = (first + std::time::Duration::from_secs(3600 * self.hours.get())).to_string();
        let ran = Ran::of(&self.remote.command(&["sync", "--at", &at, "--output", "json"]).output().unwrap());
        assert!(codes.contains(&ran.code), "{}: exit code {} of a sync\n--- out\n{}\n--- err\n{}", R::NAME, ran.code, ran.out, ran.err);
        ran.document()
    }

    fn goes_wrong(&self, wrong: Wrong, nth: u64, times: Option<u64>) {
        let fault = R::wrong(wrong, nth);
        self.remote.faults(vec![times.map_or(fault.clone(), |times| R::times(fault, times))]);
    }

    fn goes_well(&self) {
        self.remote.faults(Vec::new());
    }

    fn has_struck(&self) -> bool {
        !self.remote.struck().is_empty()
    }

    fn ledger(&self) -> Vec<u8> {
        std::fs::read(self.remote.world().path("dewpoint.db")).unwrap()
    }

    fn lose_ledger(&self) {
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(self.remote.world().path(&format!("dewpoint.db{end}")));
        }
    }

    /// In the end there is nothing to send, there is what would be there had nothing gone wrong, and of others' records not one differs.
    #[track_caller]
    fn assert_whole(&self, inventory: &Inventory) {
        self.goes_well();
        self.remote.clear_calls();
        let quiet = self.sync(0);
        assert_eq!(self.remote.writes(), 0, "{}: a sync with nothing to do writes: {quiet:#}", R::NAME);
        let twin = Self::new(self.keys);
        twin.put(inventory);
        twin.sync(0);
        assert_same(&self.remote, &twin.remote, R::NAME);
        self.remote.assert_strangers();
        let check = Ran::of(&self.remote.command(&["ledger", "check", "--output", "json"]).output().unwrap());
        assert_eq!(check.code, 0, "{}: ledger check\n{}\n{}", R::NAME, check.out, check.err);
    }
}

pub(crate) fn repeats_write_nothing<R: Scripted>() {
    let play = Play::<R>::new("verify_every: 2h");
    play.put(&machines(COUNT));
    play.sync(0);
    play.remote.clear_calls();
    for _ in 0..4 {
        // Every other one reads everything.
        let sync = play.sync(0);
        assert_eq!(sync["failed"], json!([]), "{sync:#}");
    }
    assert_eq!(play.remote.writes(), 0);
    play.assert_whole(&machines(COUNT));
}

pub(crate) fn pages_of_a_few_show_everything<R: Capped>() {
    let play = Play::<R>::new("verify_every: 2h");
    play.remote.small_pages();
    play.put(&machines(COUNT * 3));
    play.sync(0);
    play.lose_ledger();
    play.remote.clear_calls();
    let sync = play.sync(0);
    assert_eq!(play.remote.writes(), 0, "{sync:#}");
    play.wait(2);
    play.sync(0);
    assert_eq!(play.remote.writes(), 0);
    play.assert_whole(&machines(COUNT * 3));
}

pub(crate) fn an_answer_that_is_lost_is_no_second_record<R: Scripted>() {
    for (wrong, nth) in [(Wrong::LostAnswer, 1), (Wrong::LostAnswer, 3), (Wrong::LostRequest, 2)] {
        let play = Play::<R>::new(SMALL);
        play.put(&machines(COUNT));
        play.goes_wrong(wrong, nth, Some(1));
        let sync = play.sync(0);
        assert!(play.has_struck() && sync["failed"] == json!([]), "{wrong:?}, request {nth}: {sync:#}");
        play.assert_whole(&machines(COUNT));
    }
}

pub(crate) fn answers_that_are_lost_all_along_are_made_up_for<R: Scripted>() {
    for wrong in [Wrong::LostAnswer, Wrong::LostRequest] {
        let play = Play::<R>::new(SMALL);
        play.put(&machines(FEW));
        play.goes_wrong(wrong, 2, None);
        // Who looks for each record that was written without an answer finds them all.
        play.sync_with(if matches!(wrong, Wrong::LostAnswer) { &[0, 3] } else { &[3] });
        assert!(play.has_struck());
        play.goes_well();
        play.wait(24);
        play.sync(0);
        play.assert_whole(&machines(FEW));
    }
}

pub(crate) fn a_short_wait_is_waited_for<R: Scripted>() {
    let play = Play::<R>::new(SMALL);
    play.put(&machines(COUNT));
    play.goes_wrong(Wrong::Throttled(1), 2, Some(1));
    let sync = play.sync(0);
    let waited = sync["waited_s"].as_object().unwrap().values().filter_map(Value::as_f64).sum::<f64>();
    assert!(play.has_struck() && waited > 0.0, "{sync:#}");
    play.assert_whole(&machines(COUNT));
}

pub(crate) fn a_long_wait_ends_the_run<R: Scripted>() {
    let play = Play::<R>::new(SMALL);
    play.put(&machines(COUNT));
    play.goes_wrong(Wrong::Throttled(812), 2, None);
    let began = std::time::Instant::now();
    let sync = play.sync(3);
    assert!(began.elapsed() < std::time::Duration::from_secs(60), "it slept: {:?}", began.elapsed());
    assert!(sync["problems"].to_string().contains("asks to wait"), "{sync:#}");
    play.goes_well();
    play.sync(0);
    play.assert_whole(&machines(COUNT));
}

pub(crate) fn who_is_not_let_in_any_more_goes_on_later<R: Scripted>() {
    let play = Play::<R>::new(SMALL);
    play.put(&machines(COUNT));
    play.sync(0);
    let more = with(machines(COUNT + 4), "i-0002", json!({ "name": "renamed" }));
    play.put(&more);
    // The first questions of a run are answered.
    play.goes_wrong(Wrong::LoggedOut, 4, None);
    let sync = play.sync(3);
    assert!(sync["problems"].to_string().contains("credentials"), "{sync:#}");
    play.goes_wrong(Wrong::LoggedOut, 1, None);
    play.sync(5);
    play.goes_well();
    play.sync(0);
    play.assert_whole(&more);
}

pub(crate) fn what_is_denied_is_told_and_done_later<R: Scripted>() {
    let play = Play::<R>::new(SMALL);
    play.put(&machines(COUNT));
    play.goes_wrong(Wrong::NotAllowed, 2, None);
    let sync = play.sync(3);
    assert!(play.has_struck() && sync.to_string().contains("403"), "{sync:#}");
    play.goes_well();
    play.wait(24);
    play.sync(0);
    play.assert_whole(&machines(COUNT));
}

pub(crate) fn what_comes_back_after_its_removal_is_made_though_it_was_refused_once<R: Scripted>() {
    let play = Play::<R>::new("purge: delete\nverify_every: never");
    play.put(&machines(COUNT));
    play.sync(0);
    play.put(&machines(COUNT - 1));
    play.sync(0);
    play.wait(3);
    play.sync(0);
    play.put(&machines(COUNT));
    play.goes_wrong(Wrong::NotAllowed, 1, None);
    play.sync(3);
    assert!(play.has_struck());
    play.goes_well();
    play.wait(1);
    let sync = play.sync(0);
    assert!(sync["counts"].to_string().contains("\"create\":1"), "{sync:#}");
    play.assert_whole(&machines(COUNT));
}

pub(crate) fn a_page_that_is_cut_off_concludes_nothing<R: Scripted>() {
    let play = Play::<R>::new("verify_every: 2h");
    play.put(&machines(COUNT));
    play.sync(0);
    play.wait(2);
    play.remote.clear_calls();
    play.goes_wrong(Wrong::CutPage, 1, None);
    let sync = play.sync(3);
    assert!(play.has_struck() && play.remote.writes() == 0, "{sync:#}");
    play.goes_well();
    play.sync(0);
    assert_eq!(play.remote.writes(), 0);
    play.assert_whole(&machines(COUNT));
}

pub(crate) fn one_bad_record_fails_alone<R: Scripted>() {
    let play = Play::<R>::new("");
    play.put(&machines(COUNT * 3));
    play.goes_wrong(Wrong::Poison("i-0007"), 1, None);
    let sync = play.sync(3);
    let failed = sync["failed"].as_array().unwrap();
    assert!(!failed.is_empty() && failed.iter().all(|failed| failed["key"].as_str().unwrap().ends_with("i-0007")), "{failed:#?}");
    assert_eq!(play.remote.keys().len(), COUNT * 3);
    play.goes_well();
    play.wait(24);
    play.sync(0);
    play.assert_whole(&machines(COUNT * 3));
}

pub(crate) fn a_record_of_people_is_held_and_left<R: Scripted>() {
    let mut play = Play::<R>::new(SMALL);
    play.remote.people_add("i-0003");
    play.put(&machines(COUNT));
    for _ in 0..2 {
        let sync = play.sync(4);
        assert!(sync["holds"].to_string().contains("i-0003"), "{sync:#}");
        play.remote.assert_strangers();
    }
    let keys = play.remote.keys();
    assert_eq!((keys.len(), keys.iter().any(|key| key.ends_with("i-0003"))), (COUNT, false), "{keys:?}");
}

pub(crate) fn a_record_of_people_is_adopted_where_that_is_allowed<R: Scripted>() {
    let mut play = Play::<R>::new("adopt: match");
    play.remote.people_add("i-0003");
    play.put(&machines(COUNT));
    let sync = play.sync(0);
    assert!(sync["counts"].to_string().contains("\"adopt\":1"), "{sync:#}");
    let keys = play.remote.keys();
    assert_eq!((keys.len(), keys.iter().any(|key| key.ends_with("i-0003"))), (COUNT + 1, true), "{keys:?}");
    play.remote.clear_calls();
    play.sync(0);
    assert_eq!(play.remote.writes(), 0);
    // It is known for ours by what stands on it alone.
    play.lose_ledger();
    play.sync(0);
    assert_eq!((play.remote.writes(), play.remote.keys().len()), (0, COUNT + 1));
}

pub(crate) fn a_record_of_people_is_contributed_to_where_that_is_allowed<R: Scripted>() {
    let mut play = Play::<R>::new("adopt: contribute");
    play.remote.people_add("i-0003");
    play.put(&machines(COUNT));
    for is_ledger_lost in [false, true] {
        if is_ledger_lost {
            play.lose_ledger();
        }
        play.sync(0);
        let keys = play.remote.keys();
        assert_eq!((keys.len(), keys.iter().any(|key| key.ends_with("i-0003"))), (COUNT, false), "{keys:?}");
        play.remote.clear_calls();
        play.sync(0);
        assert_eq!(play.remote.writes(), 0);
    }
}

pub(crate) fn what_people_edit_is_corrected<R: Scripted>() {
    let play = Play::<R>::new("verify_every: 2h");
    play.put(&machines(COUNT));
    play.sync(0);
    // How it shows what was sent was seen.
    play.wait(2);
    play.sync(0);
    let ours = play.remote.name_of("i-0002");
    play.remote.people_rename("i-0002", "by hand");
    play.remote.clear_calls();
    let sync = play.sync(0);
    // Nothing is read until the next full read is due.
    assert_eq!((play.remote.writes(), play.remote.name_of("i-0002")), (0, "by hand".to_owned()), "{sync:#}");
    play.wait(1);
    let sync = play.sync(0);
    assert!(sync["remarks"].to_string().contains("(corrected)"), "{sync:#}");
    assert_eq!(play.remote.name_of("i-0002"), ours);
    play.assert_whole(&machines(COUNT));
}

pub(crate) fn a_lost_ledger_finds_all<R: Scripted>() {
    let play = Play::<R>::new(SMALL);
    play.put(&machines(COUNT));
    play.sync(0);
    play.lose_ledger();
    // The world went on meanwhile.
    let after = with(machines(COUNT + 1), "i-0002", json!({ "name": "renamed" }));
    play.put(&after);
    let sync = play.sync(0);
    let counts = sync["counts"].as_object().unwrap().values().next().unwrap().clone();
    assert_eq!((&counts["create"], &counts["retire"]), (&json!(1), &Value::Null), "{sync:#}");
    play.assert_whole(&after);
}

pub(crate) fn a_ledger_that_is_lost_with_an_answer_makes_no_second_record<R: Scripted>() {
    let play = Play::<R>::new(SMALL);
    play.put(&machines(FEW));
    play.goes_wrong(Wrong::LostAnswer, 2, None);
    play.sync_with(&[0, 3]);
    assert!(play.has_struck());
    play.goes_well();
    play.lose_ledger();
    play.sync(0);
    play.sync(0);
    play.assert_whole(&machines(FEW));
}

pub(crate) fn an_old_copy_of_the_ledger_makes_nothing_twice<R: Scripted>() {
    let play = Play::<R>::new(SMALL);
    play.put(&machines(COUNT));
    play.sync(0);
    let old = play.ledger();
    play.put(&with(machines(COUNT + 2), "i-0002", json!({ "name": "renamed" })));
    play.sync(0);
    play.lose_ledger();
    std::fs::write(play.remote.world().path("dewpoint.db"), old).unwrap();
    let last = with(machines(COUNT + 3), "i-0002", json!({ "name": "renamed again" }));
    play.put(&last);
    play.sync(0);
    play.sync(0);
    play.assert_whole(&last);
}
