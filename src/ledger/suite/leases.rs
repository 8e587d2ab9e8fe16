//! One holder per target.

use super::samples::{TTL, at, change, done, estate, lease, run, target};
use super::{Place, on_both};
use crate::ledger::session::{Database as _, cells};
use crate::ledger::{InFlight, Leasing, LedgerAddress, LedgerError, Mode, Rows};
use crate::plan::ChangeKind;

on_both!(a_lease_is_granted_once, a_lost_lease_writes_nothing, an_expired_lease_is_ours_until_taken, of_many_askers_one_is_granted);

async fn a_lease_is_granted_once(place: &Place) {
    let ledger = place.open().await;
    let first = lease(&*ledger, "a", at(0)).await;
    assert_eq!(first.token, 1);
    let held = ledger.acquire_lease(&target(), "b", TTL, at(29)).await.unwrap();
    assert_eq!(held, Leasing::Held { holder: "a".to_owned(), until: at(30) });
    // A clock that runs behind is no reason either.
    let held = ledger.acquire_lease(&target(), "b", TTL, at(-100_000)).await.unwrap();
    assert!(matches!(held, Leasing::Held { .. }), "{held:?}");

    ledger.renew_lease(&first, TTL, at(20)).await.unwrap();
    assert!(matches!(ledger.acquire_lease(&target(), "b", TTL, at(49)).await.unwrap(), Leasing::Held { .. }));
    assert_eq!(lease(&*ledger, "a", at(25)).await.token, 2, "its holder may ask again");
    let other = "snow".parse().unwrap();
    assert!(matches!(ledger.acquire_lease(&other, "b", TTL, at(0)).await.unwrap(), Leasing::Granted(_)), "each target has its own");
}

async fn a_lost_lease_writes_nothing(place: &Place) {
    let ledger = place.open().await;
    let old = lease(&*ledger, "a", at(0)).await;
    let create = change(1, ChangeKind::Create);
    let id = ledger.begin_batch(&old, &run(), std::slice::from_ref(&create), &[], at(1)).await.unwrap()[0];
    let new = lease(&*ledger, "b", at(31)).await;
    assert!(new.token > old.token);

    let answers = [(InFlight { id, run: run(), change: create.clone() }, done(1))];
    let refusals = [
        ledger.renew_lease(&old, TTL, at(32)).await,
        ledger.begin_batch(&old, &run(), &[create], &[], at(32)).await.map(drop),
        ledger.finish_batch(&old, &run(), &answers, at(32)).await,
        ledger.bind(&old, &Rows::default(), at(32)).await,
        ledger.move_key(&old, &answers[0].0.change.key, &super::samples::key(2)).await,
    ];
    for refusal in refusals {
        assert!(matches!(&refusal, Err(LedgerError::LeaseLost { target }) if *target == super::samples::target()), "{refusal:?}");
    }
    ledger.release_lease(&old).await.unwrap();
    assert!(matches!(ledger.acquire_lease(&target(), "c", TTL, at(33)).await.unwrap(), Leasing::Held { .. }), "b holds it still");
    assert_eq!(ledger.in_flight(&target()).await.unwrap().len(), 1);
    assert!(ledger.load_target(&target(), at(0)).await.unwrap().records.is_empty());
    ledger.finish_batch(&new, &run(), &answers, at(33)).await.unwrap();
    assert_eq!(ledger.in_flight(&target()).await.unwrap(), []);
}

async fn an_expired_lease_is_ours_until_taken(place: &Place) {
    let ledger = place.open().await;
    let lease_a = lease(&*ledger, "a", at(0)).await;
    ledger.renew_lease(&lease_a, TTL, at(1_000)).await.unwrap();
    ledger.release_lease(&lease_a).await.unwrap();
    let lease_b = lease(&*ledger, "b", at(1_001)).await;
    assert!(lease_b.token > lease_a.token, "tokens outlive a release");
}

async fn of_many_askers_one_is_granted(place: &Place) {
    let ledgers = [place.open().await, place.open().await, place.open().await];
    for round in 0..5 {
        let now = at(round * 100);
        let target = target();
        let asked = futures::future::join_all(ledgers.iter().zip(["a", "b", "c"]).map(|(ledger, holder)| {
            let target = &target;
            async move { ledger.acquire_lease(target, holder, TTL, now).await.unwrap() }
        }))
        .await;
        let granted = asked.iter().filter(|leasing| matches!(leasing, Leasing::Granted(_))).count();
        assert_eq!(granted, 1, "{asked:?}");
    }
}

/// Takes half a minute, on the real clock: that is what it is about.
#[tokio::test]
async fn a_process_that_stands_still_within_a_write_stops_the_others_for_a_while_only() {
    let place = Place::schema().await;
    let ledger = place.open().await;
    let LedgerAddress::Postgres(address) = &place.address else { panic!("a schema is in PostgreSQL") };
    let database = crate::ledger::postgres::open(address, "the same", Mode::ReadWrite { create: false }).await.unwrap().unwrap();
    let mut stopped = database.write().await.unwrap();
    stopped.run("stand still", "UPDATE meta SET version = version + 7", cells![]).await.unwrap();

    ledger.commit(&run(), 0, &estate([])).await.unwrap();
    assert_eq!(ledger.load_estate().await.unwrap().version, 1, "what it had begun is undone");
    let late = stopped.commit().await;
    assert!(matches!(late, Err(LedgerError::Unreachable { .. })), "{late:?}");
    place.clear().await;
}
