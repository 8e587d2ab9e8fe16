//! Both ways of reading compute's items tell the same.
#![cfg(feature = "compute-types")]

use std::fmt::Debug;

use dewpoint_http::{BaseUrl, Plaintext, Settings};
use serde_json::Value;
use serde_json::value::RawValue;

use super::*;
use crate::item::Item;
use crate::wire::Wire;
use crate::wire::compute::{Disk, Machine, ScaleSet, SetMachine};

/// The items of a list, on one page.
async fn items(sim: &Sim, path: &str) -> Vec<Box<RawValue>> {
    #[derive(serde::Deserialize)]
    struct Page {
        value: Vec<Box<RawValue>>,
    }
    let settings = Settings::new("test", BaseUrl::parse(&sim.url(), Plaintext::Loopback).unwrap());
    let request = dewpoint_http::pool(&settings).unwrap().get(format!("{}{path}", sim.url())).bearer_auth(sim.token(CLIENT));
    let answer = request.send().await.unwrap().error_for_status().unwrap();
    serde_json::from_str::<Page>(&answer.text().await.unwrap()).unwrap().value
}

/// Reads an item in both ways.
fn check_agrees<T: Wire, V: PartialEq + Debug>(raw: &RawValue, value: impl Fn(T) -> V) {
    let read = T::read(raw).unwrap();
    assert_eq!(read.misfit, None, "{raw}");
    let json: Value = serde_json::from_str(raw.get()).unwrap();
    assert_eq!(value(read.item), value(T::lenient(Item(&json)).unwrap()), "{raw}");
}

#[tokio::test]
async fn the_published_types_tell_what_the_lenient_reading_does() {
    for seed in 1..=4 {
        let world = World::generated(seed, 1, 120);
        let account = world.subscriptions.keys().next().unwrap().clone();
        let settings = SimSettings { page_items: (10_000, 10_000), ..SimSettings::default() };
        let sim = Sim::start_with(Start { settings, tls: false, ..Start::new(world) }).unwrap();
        let compute = format!("/subscriptions/{account}/providers/Microsoft.Compute");
        let machines = items(&sim, &format!("{compute}/virtualMachines?api-version=2024-07-01")).await;
        let disks = items(&sim, &format!("{compute}/disks?api-version=2024-03-02")).await;
        let sets = items(&sim, &format!("{compute}/virtualMachineScaleSets?api-version=2024-07-01")).await;
        assert!(machines.len() > 50 && disks.len() > 50 && sets.len() > 1);
        machines.iter().for_each(|raw| check_agrees(raw, |machine: Machine| machine));
        disks.iter().for_each(|raw| check_agrees(raw, |disk: Disk| disk));
        let mut instances = 0;
        for raw in &sets {
            check_agrees(raw, |set: ScaleSet| set);
            let set = ScaleSet::read(raw).unwrap().item;
            if set.is_flexible == Some(false) {
                let path = format!("{}/virtualMachines?api-version=2024-07-01&$expand=instanceView", set.head.id.text);
                let listed = items(&sim, &path).await;
                listed.iter().for_each(|raw| check_agrees(raw, |machine: SetMachine| machine.0));
                instances += listed.len();
            }
        }
        assert!(instances > 10, "{instances}");
    }
}
