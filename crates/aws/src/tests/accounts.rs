//! Several accounts, an organization, and their regions.

use dewpoint_aws_sim::world::{Change, Denial, OptIn, StateFields, World};
use dewpoint_aws_sim::{Effect, Fault, Mishap};
use dewpoint_core::source::SourceError;

use super::world::{OTHER, bare, furnish, furnished};
use super::*;
use crate::ExternalId;

const THIRD: &str = "333333333333";

/// The caller's account, and two that its role may read; each has a machine.
fn three(regions: &[&str]) -> World {
    let mut world = bare(OWN, regions);
    for account in [OWN, OTHER, THIRD] {
        let account = world.account(account);
        if account.id != OWN {
            account.role("DewpointReader", &[OWN]);
        }
        for region in regions {
            account.region(region).instance("one");
        }
    }
    world
}

fn three_listed(sim: &Sim, regions: &[&str]) -> Setup {
    setup(sim, OWN, regions).accounts(Accounts::Listed([OWN, OTHER, THIRD].map(listed).to_vec()))
}

/// The gaps of a whole account that could not be read.
fn closed_off(account: &str, outcome: Outcome) -> BTreeMap<String, Outcome> {
    gaps_of(account, "*", &crate::KINDS, outcome)
}

/// The accounts that instances were found in.
fn seen(pull: &Pull) -> BTreeSet<&str> {
    all_of(pull, Kind::Instance).into_iter().map(|one| one.account.as_str()).collect()
}

#[tokio::test]
async fn listed_accounts_are_read_as_their_roles() {
    let sim = start(three(&[EU]));
    let pull = three_listed(&sim, &[EU]).pull().await;
    assert_eq!((gaps(&pull), seen(&pull)), (BTreeMap::new(), [OWN, OTHER, THIRD].into()));
    assert_eq!(pull.receipts.len(), 3 * crate::KINDS.len());
    let assumed: Vec<String> =
        sim.calls().into_iter().filter(|call| call.action == "AssumeRole").map(|call| call.parameters["RoleArn"].clone()).collect();
    assert_eq!(assumed.len(), 2, "the caller's own account needs no role: {assumed:?}");
    assert!(assumed.contains(&format!("arn:aws:iam::{OTHER}:role/DewpointReader")));
}

#[tokio::test]
async fn roles_and_external_ids_are_those_configured() {
    const SECRET_ID: &str = "a:secret/id";
    let mut world = three(&[EU]);
    let reader = world.account(OTHER).role("DewpointReader", &[OWN]);
    reader.external_id = Some("usual".to_owned());
    world.account(THIRD).roles.clear();
    world.account(THIRD).role("other", &[OWN]).external_id = Some(SECRET_ID.to_owned());
    let own = world.account(OWN);
    own.role("narrow", &[OWN]);
    let sim = start(world);
    let arn = |account: &str, name: &str| Some(format!("arn:aws:iam::{account}:role/{name}"));
    let accounts = |id: &str| {
        Accounts::Listed(vec![
            // Its own account, as a role all the same.
            ListedAccount { role_arn: arn(OWN, "narrow"), ..listed(OWN) },
            listed(OTHER),
            ListedAccount { role_arn: arn(THIRD, "path/other"), external_id: Some(ExternalId::new(id)), ..listed(THIRD) },
        ])
    };
    let setup = |id: &str| {
        setup(&sim, OWN, &[EU]).accounts(accounts(id)).with(|config, _| config.usual_role.external_id = Some(ExternalId::new("usual")))
    };
    let pull = setup(SECRET_ID).pull().await;
    assert_eq!((gaps(&pull), seen(&pull)), (BTreeMap::new(), [OWN, OTHER, THIRD].into()));
    assert_eq!(count(&sim, "AssumeRole"), 3);

    let source = setup("wrong").build();
    assert!(!format!("{source:?}").contains("wrong"), "whoever knows it could have the role assumed");
    let pull = self::pull(&source).await;
    assert_eq!((gaps(&pull), seen(&pull)), (closed_off(THIRD, Outcome::Denied), [OWN, OTHER].into()));
    let error = error_of(&pull, THIRD, "*", Kind::Instance);
    let start = format!("source `cloud` may not sts:AssumeRole: as arn:aws:iam::{THIRD}:role/path/other: AccessDenied: ");
    assert!(error.starts_with(&start) && !error.contains("wrong"), "{error}");
}

#[tokio::test]
async fn an_account_whose_role_fails_leaves_the_others() {
    let role_arn = Some(format!("arn:aws:iam::{OTHER}:role/DewpointReader"));
    let wrong_account = Accounts::Listed(vec![listed(OWN), listed(OTHER), ListedAccount { role_arn, ..listed(THIRD) }]);
    let usual = || Accounts::Listed([OWN, OTHER, THIRD].map(listed).to_vec());
    let assume = || Fault::new(Effect::Deny).account(THIRD).action("AssumeRole");
    let internal = Effect::Error { status: 500, code: "InternalFailure".to_owned(), message: "no".to_owned() };
    let cases = [
        (wrong_account, Vec::new(), Outcome::Denied, "the role belongs to account 222222222222, not to 333333333333"),
        (usual(), vec![assume()], Outcome::Denied, "AccessDenied: "),
        (usual(), vec![Fault { effect: Effect::ScpDeny, ..assume() }], Outcome::Denied, "service control policy"),
        (usual(), vec![Fault { effect: internal, ..assume() }], Outcome::Failed, "InternalFailure: no"),
        (
            usual(),
            vec![Fault { effect: Effect::Mishap(Mishap::CutBody { share: 0.6 }), ..assume() }],
            Outcome::Truncated,
            "the body ends before",
        ),
        (usual(), vec![Fault { effect: Effect::Throttle, ..assume() }], Outcome::Throttled, "was throttled at sts:AssumeRole: as arn:"),
    ];
    for (accounts, faults, outcome, text) in cases {
        let sim = start(three(&[EU]));
        sim.faults(faults);
        let pull = setup(&sim, OWN, &[EU]).accounts(accounts).impatient().pull().await;
        assert_eq!((gaps(&pull), seen(&pull)), (closed_off(THIRD, outcome), [OWN, OTHER].into()), "{text}");
        let error = error_of(&pull, THIRD, "*", Kind::Account);
        assert!(error.contains(text), "{error}");
        assert!(!pull.resources.values().any(|one| one.account.as_str() == THIRD), "{text}: nothing is known of it");
    }
}

#[tokio::test]
async fn a_missing_role_is_a_denial_that_names_it() {
    let mut world = three(&[EU]);
    world.account(THIRD).roles.clear();
    let sim = start(world);
    let source = three_listed(&sim, &[EU]).build();
    let pull = self::pull(&source).await;
    assert_eq!((gaps(&pull), seen(&pull)), (closed_off(THIRD, Outcome::Denied), [OWN, OTHER].into()));
    let error = error_of(&pull, THIRD, "*", Kind::Volume);
    assert!(error.contains(&format!("as arn:aws:iam::{THIRD}:role/DewpointReader: AccessDenied: ")), "{error}");
    let theirs = key(THIRD, EU, "instance/i-0123456789abcdef0");
    let answers = source.look_up(&[(theirs.clone(), Kind::Instance)], &Notes::default()).await;
    assert!(matches!(answers[&theirs], Err(SourceError::Denied { .. })), "{answers:?}");
    // The next pull tries again.
    sim.edit(|world| drop(world.account(THIRD).role("DewpointReader", &[OWN]).clone()));
    assert_eq!(gaps(&self::pull(&source).await), BTreeMap::new());
}

fn organization(sim: &Sim) -> Setup {
    setup(sim, OWN, &[EU]).accounts(Accounts::Organization)
}

#[tokio::test]
async fn an_organization_is_read_account_by_account() {
    let mut world = three(&[EU]);
    world.organize(OWN).empty_pages = true;
    let sim = start(world);
    sim.settings(|settings| settings.page_items_max = Some(2));
    let pull = organization(&sim).pull().await;
    assert_eq!((gaps(&pull), seen(&pull)), (BTreeMap::new(), [OWN, OTHER, THIRD].into()));
    let account = one(&pull, &Key::aws(&format!("arn:aws:iam::{OTHER}:root")).unwrap());
    assert_eq!((account.name.as_deref(), account.state.as_deref()), (Some("account-222222222222"), Some("active")));
    let organization = sim.world().organization.as_ref().unwrap().id.clone();
    assert_eq!(
        attributes(&pull, &account.key),
        json!({"email_domain": "example.com", "organization": organization, "management_account": OWN, "joined_at": "2026-01-01T00:00:00Z"})
    );
    assert_eq!(count(&sim, "ListAccounts"), 4, "two pages, each after an empty one");
}

#[tokio::test]
async fn accounts_that_are_not_active_are_told_and_not_read() {
    let both = ["SUSPENDED", "PENDING_CLOSURE", "CLOSED", "PENDING_ACTIVATION"].map(|state| (StateFields::Both, state));
    let older = [(StateFields::State, "CLOSED"), (StateFields::Status, "CLOSED"), (StateFields::Status, "PENDING_ACTIVATION")];
    for (fields, state) in both.into_iter().chain(older) {
        let mut world = three(&[EU]);
        let organization = world.organize(OWN);
        organization.state_fields = fields;
        organization.member(THIRD).unwrap().state = state.to_owned();
        let sim = start(world);
        let source = setup(&sim, OWN, &[EU]).accounts(Accounts::Organization).build();
        let pull = self::pull(&source).await;
        // The older field knows fewer words.
        let word = match (fields, state) {
            (StateFields::Status, "CLOSED") => "suspended",
            (StateFields::Status, "PENDING_ACTIVATION") => "active",
            _ => &state.to_lowercase(),
        };
        let account = one(&pull, &Key::aws(&format!("arn:aws:iam::{THIRD}:root")).unwrap());
        assert_eq!(account.state.as_deref(), Some(word), "{fields:?}");
        if word == "active" {
            continue;
        }
        assert_eq!((gaps(&pull), seen(&pull)), (closed_off(THIRD, Outcome::Skipped), [OWN, OTHER].into()), "{state}");
        let why = error_of(&pull, THIRD, "*", Kind::Instance);
        assert_eq!(why, format!("the organization says that the account is {}", word.replace('_', " ")));
        assert!(sim.calls().iter().all(|call| call.account != THIRD), "{state}");
        let theirs = key(THIRD, EU, "instance/i-0123456789abcdef0");
        let answers = source.look_up(&[(theirs.clone(), Kind::Instance)], &Notes::default()).await;
        assert!(answers[&theirs].is_err(), "{state}: never gone");
    }
}

#[tokio::test]
async fn without_the_list_of_accounts_nothing_is_known() {
    let mut world = three(&[EU]);
    world.organize(OTHER);
    let not_there = start(three(&[EU]));
    let not_manager = start(world.clone());
    world.organize(OWN);
    let sim = start(world);
    let list = |effect| vec![Fault::new(effect).action("ListAccounts")];
    let cases = [
        (&not_there, Vec::new(), "AWSOrganizationsNotInUseException: "),
        (&not_manager, Vec::new(), "AccessDeniedException: "),
        (&sim, list(Effect::Deny), "AccessDeniedException: "),
        (&sim, list(Effect::Mishap(Mishap::CutBody { share: 0.5 })), "incomplete answer to organizations:ListAccounts: "),
        (&sim, list(Effect::Mishap(Mishap::Empty { status: 200 })), "the answer leaves out the caller's own account 111111111111"),
        (&sim, list(Effect::ItemWithoutId), "an account has no id"),
        (&sim, list(Effect::ItemWithoutState), "an account has no state"),
        (&sim, list(Effect::RepeatToken), "repeats the token"),
        (&sim, list(Effect::Throttle), "was throttled at organizations:ListAccounts"),
    ];
    for (sim, faults, text) in cases {
        sim.faults(faults);
        let error = organization(sim).impatient().build().pull(&Notes::default()).await.unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!(count(sim, "DescribeInstances"), 0);
    }
}

#[tokio::test]
async fn an_account_that_left_the_organization_has_no_receipts() {
    let mut world = three(&[EU]);
    world.organize(OWN);
    let sim = start(world);
    let source = organization(&sim).build();
    pull(&source).await;
    sim.edit(|world| world.organization.as_mut().unwrap().members.retain(|member| member.id != THIRD));
    let pull = self::pull(&source).await;
    assert!(pull.exhaustive, "so that its scopes count as covered by nobody");
    assert!(!pull.receipts.iter().any(|(scope, _)| scope.account.as_str() == THIRD));
}

#[tokio::test]
async fn all_regions_are_those_that_each_account_has() {
    let mut world = three(&[EU, US, "me-south-1"]);
    world.regions.insert("me-south-1".to_owned(), OptIn::NotOptedIn);
    world.account(OTHER).region("me-south-1").opt_in = Some(OptIn::OptedIn);
    world.account(THIRD).region(US).opt_in = Some(OptIn::NotOptedIn);
    let sim = start(world);
    let pull = three_listed(&sim, &[]).pull().await;
    assert_eq!(gaps(&pull), BTreeMap::new());
    let read: BTreeSet<(&str, &str)> =
        all_of(&pull, Kind::Instance).iter().map(|one| (one.account.as_str(), one.region.as_str())).collect();
    assert_eq!(read, [(OWN, EU), (OWN, US), (OTHER, EU), (OTHER, US), (OTHER, "me-south-1"), (THIRD, EU)].into());
    let regions = pull.receipts.iter().filter(|(scope, _)| scope.kind == Kind::Region).count();
    assert_eq!(regions, 6, "no receipts for regions that nobody asked for");
}

#[tokio::test]
async fn a_listed_region_that_is_off_is_disabled_and_not_called() {
    let mut world = furnished(OWN, &[EU, US]);
    world.account(OWN).region(US).opt_in = Some(OptIn::NotOptedIn);
    let sim = start(world);
    let pull = setup(&sim, OWN, &[EU, US]).pull().await;
    assert_eq!(gaps(&pull), gaps_of(OWN, US, &regional(), Outcome::Disabled));
    assert_eq!(
        error_of(&pull, OWN, US, Kind::Volume),
        "source `cloud` cannot use ec2:DescribeRegions: region us-east-1 is not enabled for the account"
    );
    assert!(sim.calls().iter().all(|call| call.region == EU));
    // Switched off between the list of regions and the first call, it answers as to bad credentials.
    let sim = start(furnished(OWN, &[EU, US]));
    sim.faults(vec![Fault::new(Effect::AuthFailure).region(US)]);
    let pull = setup(&sim, OWN, &[EU, US]).pull().await;
    let kinds: Vec<Kind> = regional().into_iter().filter(|kind| *kind != Kind::Region).collect();
    assert_eq!(gaps(&pull), gaps_of(OWN, US, &kinds, Outcome::Denied), "the list says that it is on");
}

#[tokio::test]
async fn a_region_that_aws_does_not_name_is_a_failure_of_its_own() {
    let sim = start(furnished(OWN, &[EU]));
    let pull = setup(&sim, OWN, &[EU, "eu-wset-1"]).pull().await;
    let mut wanted = gaps_of(OWN, "eu-wset-1", &regional(), Outcome::Denied);
    wanted.extend(gaps_of(OWN, "eu-wset-1", &[Kind::Region], Outcome::Failed));
    assert_eq!(gaps(&pull), wanted);
    assert_eq!(
        error_of(&pull, OWN, "eu-wset-1", Kind::Region),
        "source `cloud` failed at ec2:DescribeRegions: AWS names no region eu-wset-1 for the account"
    );
}

#[tokio::test]
async fn without_the_list_of_regions() {
    let mut effects =
        vec![(Effect::Deny, Outcome::Denied), (Effect::Throttle, Outcome::Throttled), (Effect::ItemWithoutId, Outcome::Truncated)];
    effects.extend([0.0, 0.9].map(|share| (Effect::Mishap(Mishap::CutBody { share }), Outcome::Truncated)));
    effects.push((Effect::ItemWithoutState, Outcome::Truncated));
    for (effect, outcome) in effects {
        let sim = start(furnished(OWN, &[EU, US]));
        sim.faults(vec![Fault::new(effect.clone()).action("DescribeRegions")]);
        // All of them: nothing of the account can be read.
        let pull = setup(&sim, OWN, &[]).impatient().pull().await;
        assert_eq!(gaps(&pull), closed_off(OWN, outcome), "{effect:?}");
        assert_eq!(count(&sim, "DescribeInstances"), 0);
        assert!(error_of(&pull, OWN, "*", Kind::Instance).contains("ec2:DescribeRegions"));
        // Listed: they are read, and what rests on the list says so.
        let pull = setup(&sim, OWN, &[EU, US]).impatient().pull().await;
        let mut wanted = gaps_of(OWN, "*", &[Kind::Account], outcome);
        wanted.extend(gaps_of(OWN, EU, &[Kind::Region], outcome));
        wanted.extend(gaps_of(OWN, US, &[Kind::Region], outcome));
        assert_eq!(gaps(&pull), wanted, "{effect:?}");
        assert_eq!(all_of(&pull, Kind::Region).len(), 2);
    }
}

#[tokio::test]
async fn regions_are_asked_for_elsewhere_when_a_policy_denies_the_first() {
    let mut world = furnished(OWN, &[EU, US]);
    world.account(OWN).denials = vec![Denial { region: Some(EU.to_owned()), ..Denial::default() }];
    let sim = start(world);
    let pull = setup(&sim, OWN, &[EU, US]).pull().await;
    let denied: Vec<Kind> = regional().into_iter().filter(|kind| *kind != Kind::Region).collect();
    assert_eq!(gaps(&pull), gaps_of(OWN, EU, &denied, Outcome::Denied));
    assert!(error_of(&pull, OWN, EU, Kind::Instance).contains("service control policy"));
}

#[tokio::test]
async fn an_account_is_entered_where_policies_and_its_regions_allow() {
    let mut world = three(&[EU, US, "me-south-1"]);
    world.regions.insert("me-south-1".to_owned(), OptIn::NotOptedIn);
    world.organize(OWN);
    world.account(OWN).region("me-south-1").opt_in = Some(OptIn::OptedIn);
    world.account(OTHER).denials = vec![Denial { region: Some(EU.to_owned()), ..Denial::default() }];
    let sim = start(world);
    // The caller is at home in a region that another account denies …
    let pull = setup(&sim, OWN, &[]).accounts(Accounts::Organization).pull().await;
    assert_eq!(gaps(&pull).keys().filter(|scope| !scope.starts_with(&format!("{OTHER} {EU}"))).count(), 0, "{:?}", gaps(&pull));
    assert_eq!(seen(&pull), [OWN, OTHER, THIRD].into());
    // … or in one that others have not enabled, for which STS gives no session.
    let home = |setup: Setup| setup.with(|_, tuning| tuning.region = Some("me-south-1".parse().unwrap()));
    let pull = home(setup(&sim, OWN, &[]).accounts(Accounts::Organization)).pull().await;
    assert_eq!(seen(&pull), [OWN, OTHER, THIRD].into());
    assert!(gaps(&pull).keys().all(|scope| scope.starts_with(&format!("{OTHER} {EU}"))), "{:?}", gaps(&pull));
}

#[tokio::test]
async fn what_nothing_allows_is_not_asked_everywhere() {
    let sim = start(three(&[EU, US, "us-west-2", "eu-central-1"]));
    sim.faults(vec![Fault::new(Effect::Deny).action("DescribeRegions")]);
    let pull = three_listed(&sim, &[]).pull().await;
    assert_eq!(gaps(&pull).len(), 3 * crate::KINDS.len());
    assert_eq!(count(&sim, "DescribeRegions"), 3 * 3, "in three regions of each account");
}

#[tokio::test]
async fn roles_are_assumed_within_the_budget_and_counted() {
    let sim = start(three(&[EU]));
    let notes = Notes::default();
    let none_left = Rate { per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN };
    // One call a second, which the caller's identity takes.
    let source = three_listed(&sim, &[EU]).with(|config, _| config.rates.sts = none_left).build();
    source.pull(&notes).await.unwrap();
    assert_eq!(notes.calls()["sts:AssumeRole"], 2);
    assert!(notes.waited_s() > 0.5, "{notes:?}");
}

#[tokio::test]
async fn a_region_that_is_off_without_the_list_is_the_louder_denial() {
    let mut world = furnished(OWN, &[EU, US]);
    world.account(OWN).region(US).opt_in = Some(OptIn::NotOptedIn);
    let sim = start(world);
    sim.faults(vec![Fault::new(Effect::Deny).action("DescribeRegions")]);
    let pull = setup(&sim, OWN, &[EU, US]).pull().await;
    let outcomes: BTreeSet<Outcome> = gaps(&pull).into_values().collect();
    assert_eq!(outcomes, [Outcome::Denied].into());
    assert_eq!(gaps(&pull).len(), 1 + 1 + regional().len(), "the account's, both regions', and all of the region that is off");
}

#[tokio::test]
async fn what_changes_between_pulls_is_seen() {
    let mut world = three(&[EU, US]);
    world.organize(OWN);
    furnish(world.account(OWN).region(EU));
    let sim = start(world);
    let source = setup(&sim, OWN, &[]).accounts(Accounts::Organization).build();
    assert_eq!(gaps(&pull(&source).await), BTreeMap::new());
    let changes = [
        Change::OptIn { account: THIRD.to_owned(), region: US.to_owned(), status: OptIn::NotOptedIn },
        Change::MemberState { account: OTHER.to_owned(), state: "SUSPENDED".to_owned() },
    ];
    sim.edit(|world| changes.iter().for_each(|change| world.apply(change, jiff::Timestamp::UNIX_EPOCH).unwrap()));
    let pull = self::pull(&source).await;
    assert_eq!(gaps(&pull), closed_off(OTHER, Outcome::Skipped));
    assert!(!pull.receipts.iter().any(|(scope, _)| (scope.account.as_str(), scope.region.as_str()) == (THIRD, US)));
    let off = pull.off.get(&(THIRD.parse().unwrap(), US.parse().unwrap()));
    assert_eq!(
        off.map(String::as_str),
        Some("source `cloud` cannot use ec2:DescribeRegions: region us-east-1 is not enabled for the account")
    );
}
