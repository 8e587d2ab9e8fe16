//! Lists in pages, and what goes wrong on their way.

use dewpoint_azure_sim::{Effect, Fault, Mishap, Rates};
use dewpoint_http::Limits;
use serde_json::Value;

use super::*;

/// A subscription with so many machines, and as many interfaces and disks, on small pages. The second page of every list is empty.
fn paged(machines: usize) -> (Sim, String) {
    let mut world = World::new();
    let subscription = world.subscription("prod");
    let account = subscription.id.clone();
    let mut group = subscription.group("rg", "westeurope");
    for number in 0..machines {
        group.vm(&format!("vm-{number:02}"));
    }
    (start_with(world, |settings| settings.page_items = (2, 4)), account)
}

fn of_disks(effect: Effect) -> Fault {
    Fault::new(effect).operation("disks.list")
}

fn provider_error() -> Effect {
    Effect::ProviderError
}

/// How often the list of disks was asked for.
fn asked_for_disks(sim: &Sim) -> usize {
    sim.calls().iter().filter(|call| call.operation == "disks.list").count()
}

/// Reads an estate whose list of disks has a fault: it is truncated with these words, what came before the fault stays, and all else is complete.
async fn check_truncated(fault: Fault, calls_max: usize, words: &[&str]) {
    let (sim, account) = paged(12);
    let what = format!("{fault:?}");
    sim.faults(vec![fault]);
    let pull = setup(&sim).pull().await;
    assert_eq!(outcome(&pull, &account, Kind::Volume), Outcome::Truncated, "{what}");
    let text = error(&pull, &account, Kind::Volume);
    for word in words {
        assert!(text.contains(word), "{what}: {text}");
    }
    let volumes = all_of(&pull, Kind::Volume).len();
    assert!((1..12).contains(&volumes), "{what}: {volumes} disks");
    assert!(asked_for_disks(&sim) <= calls_max, "{what}: {} calls", asked_for_disks(&sim));
    assert_eq!((outcome(&pull, &account, Kind::Instance), all_of(&pull, Kind::Instance).len()), (Outcome::Complete, 12), "{what}");
    assert_eq!(outcome(&pull, &account, Kind::NetworkInterface), Outcome::Complete, "{what}");
}

#[tokio::test]
async fn a_page_that_fails_truncates_its_list_alone() {
    check_truncated(of_disks(provider_error()).page(3), 7, &["page 3", "ProviderError", "Microsoft.Compute/disks/read"]).await;
    check_truncated(of_disks(Effect::Mishap(Mishap::CutBody { share: 0.5 })).page(3), 7, &["page 3"]).await;
    check_truncated(of_disks(Effect::Mishap(Mishap::CutConnection { share: 0.5 })).page(3), 7, &["page 3"]).await;
    check_truncated(of_disks(Effect::Mishap(Mishap::Html { status: 200 })).page(3), 7, &["page 3", "web page"]).await;
    check_truncated(
        of_disks(Effect::Error { status: 404, code: "ResourceNotFound".into(), message: "gone".into() }).page(3),
        3,
        &["page 3"],
    )
    .await;
    let unregistered = Effect::Error { status: 409, code: "MissingSubscriptionRegistration".into(), message: "not registered".into() };
    check_truncated(of_disks(unregistered).page(3), 3, &["page 3"]).await;
}

#[tokio::test]
async fn a_link_that_does_not_lead_on_truncates_the_list() {
    check_truncated(of_disks(Effect::RepeatNextLink), 2, &["page 2", "leads back"]).await;
    check_truncated(of_disks(Effect::RepeatNextLink).page(3), 4, &["page 3", "leads back"]).await;
    check_truncated(of_disks(Effect::LoopNextLink), 2, &["page 2", "leads back"]).await;
    let version = Effect::NextLinkVersion { version: "2015-06-15".to_owned() };
    check_truncated(of_disks(version).page(1), 2, &["page 2", "2015-06-15"]).await;
    check_truncated(of_disks(Effect::LongNextLink).page(1), 2, &["page 2", "404"]).await;
    let broken = |body: &str| Effect::Mishap(Mishap::Answer { status: 200, headers: BTreeMap::new(), body: body.to_owned() });
    for body in [r#"{"value": null}"#, "[]", "{}", r#"{"value": {}}"#, r#"{"value": [], "nextLink": 7}"#] {
        check_truncated(of_disks(broken(body)).page(3), 3, &["page 3 is no list"]).await;
    }
}

#[tokio::test]
async fn no_token_follows_a_link_to_another_server() {
    let elsewhere = start(World::new());
    let host = elsewhere.url().trim_start_matches("https://").to_owned();
    let (port, own) = (host.rsplit(':').next().unwrap().to_owned(), "127.0.0.1");
    let bases = [
        elsewhere.url(),
        format!("http://{host}"),
        format!("//{host}"),
        format!("https://localhost:{port}"),
        format!("https://{own}@{host}"),
        format!("https://user:word@{own}:{port}"),
        "file://".to_owned(),
    ];
    for base in bases {
        check_truncated(of_disks(Effect::ForeignNextLink { base }).page(1), 1, &[]).await;
    }
    assert_eq!(elsewhere.calls().len(), 0, "nothing at all was sent there");
}

#[tokio::test]
async fn an_odd_link_is_followed_as_it_is() {
    let (sim, account) = paged(12);
    let other = Effect::NextLinkVersion { version: "2023-10-02".to_owned() };
    sim.faults(vec![Fault::new(Effect::RawNextLink).operation("skus.list"), of_disks(other)]);
    let pull = setup(&sim).pull().await;
    assert_eq!((incomplete(&pull), all_of(&pull, Kind::Volume).len()), (Vec::new(), 12));
    assert!(all_of(&pull, Kind::Instance).iter().all(|machine| machine.attributes["vcpus"] == 2), "sizes were read to their end");
    let calls = sim.calls();
    assert!(calls.iter().any(|call| call.operation == "disks.list" && call.query.contains("2023-10-02")));
    let raw = calls.iter().filter(|call| call.operation == "skus.list" && call.page > 1).map(|call| (call.status, call.query.clone()));
    let raw: Vec<(u16, String)> = raw.collect();
    assert!(raw.len() > 1 && raw.iter().all(|(status, query)| *status == 200 && query.contains("%20eq%20")), "{raw:?}");
    assert_eq!(outcome(&pull, &account, Kind::Volume), Outcome::Complete);
}

/// What a pull read, without when.
fn told(pull: &Pull) -> Vec<Value> {
    let resources = pull.resources.values().map(|resource| {
        let mut resource = Resource::clone(resource);
        resource.observed_at = None;
        serde_json::to_value(resource).unwrap()
    });
    resources.chain(pull.relations.values().map(|relation| serde_json::to_value(relation).unwrap())).collect()
}

#[tokio::test]
async fn the_size_of_pages_makes_no_difference() {
    let sim = start_with(World::generated(5, 2, 60), |settings| {
        settings.page_items = (1000, 1000);
        settings.rates = Rates::unlimited();
    });
    let whole = setup(&sim).pull().await;
    sim.settings(|settings| settings.page_items = (1, 5));
    let paged = setup(&sim).pull().await;
    assert_eq!((incomplete(&whole), incomplete(&paged)), (Vec::new(), Vec::new()));
    assert!(sim.calls().iter().any(|call| call.page > 10));
    assert_eq!(told(&whole), told(&paged));
}

#[tokio::test]
async fn what_fails_once_is_asked_for_again() {
    let mishaps = [
        Mishap::CutBody { share: 0.5 },
        Mishap::CutConnection { share: 0.5 },
        Mishap::ResetBody { share: 0.5 },
        Mishap::Reset,
        Mishap::Html { status: 200 },
        Mishap::Html { status: 503 },
    ];
    for effect in mishaps.map(Effect::Mishap).into_iter().chain([provider_error()]) {
        let (sim, account) = paged(12);
        sim.faults(vec![of_disks(effect.clone()).page(3).times(1)]);
        let pull = setup(&sim).pull().await;
        assert_eq!(incomplete(&pull), Vec::<String>::new(), "{effect:?}");
        assert_eq!((outcome(&pull, &account, Kind::Volume), all_of(&pull, Kind::Volume).len()), (Outcome::Complete, 12), "{effect:?}");
    }
}

#[tokio::test]
async fn an_answer_that_comes_too_late_is_none() {
    let impatient = |sim: &Sim| {
        let limits = Limits { attempt: Duration::from_millis(400), ..Limits::default() };
        setup(sim).tuned(|tuning| tuning.limits = Some(limits)).with(|config| config.timeout = Duration::from_secs(20))
    };
    for (page, expected) in [(1, Outcome::Failed), (3, Outcome::Truncated)] {
        let (sim, account) = paged(12);
        sim.faults(vec![of_disks(Effect::Mishap(Mishap::Hang)).page(page)]);
        let pull = impatient(&sim).pull().await;
        assert_eq!(outcome(&pull, &account, Kind::Volume), expected);
        assert_eq!(outcome(&pull, &account, Kind::Instance), Outcome::Complete);
        let text = error(&pull, &account, Kind::Volume);
        assert!(text.contains("no answer") || text.contains("within"), "{text}");
    }
}

#[tokio::test]
async fn an_item_on_two_pages_is_one() {
    let mut world = World::new();
    let subscription = world.subscription("prod");
    let mut group = subscription.group("rg", "westeurope");
    let set = group.flexible_set("workers").id();
    let machine = group.vm("worker").member_of(&set).id();
    let (sim, set) = (start(world), set.to_lowercase());
    let item = |id: &str, size: &str| {
        serde_json::json!({"id": id, "name": "worker", "location": "westeurope", "properties": {
            "vmId": "1", "hardwareProfile": {"vmSize": size}, "storageProfile": {}, "networkProfile": {},
            "virtualMachineScaleSet": {"id": set}, "provisioningState": "Succeeded"}})
    };
    let items = [item(&machine, "Standard_B1ls"), item(&machine.to_uppercase(), "Standard_D2s_v5")];
    let body = serde_json::json!({ "value": items }).to_string();
    let run_states = Fault::new(Effect::Mishap(Mishap::Latency { ms: 0 })).contains("statusOnly");
    let twice =
        Fault::new(Effect::Mishap(Mishap::Answer { status: 200, headers: BTreeMap::new(), body })).operation("virtualMachines.list");
    sim.faults(vec![run_states, twice]);
    let pull = setup(&sim).pull().await;
    assert_eq!(all_of(&pull, Kind::Instance).len(), 1);
    assert_eq!(resource(&pull, &machine).attributes["size"], "Standard_D2s_v5", "the later page is newer");
    let group = &resource(&pull, &set).attributes;
    assert_eq!((&group["member_count"], &group["sizes"]), (&1.into(), &serde_json::json!(["Standard_D2s_v5", "Standard_D4s_v5"])));
}
