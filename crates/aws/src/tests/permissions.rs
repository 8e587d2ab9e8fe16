//! Permissions: the policies, the declared actions and the calls made are one list. And the checks that name what is missing.

use dewpoint_aws_sim::world::{Denial, OptIn};
use dewpoint_aws_sim::{Effect, Fault};
use dewpoint_core::doctor::{Finding, Health};

use super::world::{OTHER, bare, furnish, furnished};
use super::*;

const POLICY: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/aws/policy.json"));
const HUB_POLICY: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/aws/hub-policy.json"));

/// The actions and resources that a policy allows, statement by statement.
fn statements(policy: &str) -> Vec<(Vec<String>, String)> {
    let policy: Value = serde_json::from_str(policy).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let read = |statement: &Value| {
        assert_eq!(statement["Effect"], json!("Allow"));
        let actions = match &statement["Action"] {
            Value::Array(actions) => actions.iter().map(text).collect(),
            one => vec![text(one)],
        };
        (actions, text(&statement["Resource"]))
    };
    policy["Statement"].as_array().unwrap().iter().map(read).collect()
}

#[test]
fn the_policy_allows_exactly_the_declared_actions() {
    let declared = crate::ACTIONS.iter().map(|action| (*action).to_owned()).collect();
    assert_eq!(statements(POLICY), [(declared, "*".to_owned())]);
    assert!(crate::ACTIONS.is_sorted());
}

#[test]
fn the_hubs_policy_allows_exactly_what_the_hub_declares() {
    let wanted = [
        (vec!["organizations:ListAccounts".to_owned()], "*".to_owned()),
        (vec!["sts:AssumeRole".to_owned()], "arn:*:iam::*:role/DewpointReader".to_owned()),
    ];
    assert_eq!(statements(HUB_POLICY), wanted);
    assert_eq!(crate::HUB_ACTIONS, ["organizations:ListAccounts", "sts:AssumeRole"]);
}

/// The trust that lets the hub assume a role: its principal and its external id are for people to put in, and nothing else is allowed.
#[test]
fn the_trust_policy_asks_for_an_external_id() {
    let policy: Value =
        serde_json::from_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/aws/trust-policy.json"))).unwrap();
    let [statement] = policy["Statement"].as_array().unwrap().as_slice() else { panic!("{policy}") };
    assert_eq!((&statement["Effect"], &statement["Action"]), (&json!("Allow"), &json!(crate::role::ACTION.name)));
    let principal = statement["Principal"]["AWS"].as_str().unwrap();
    assert!(principal.starts_with("arn:aws:iam::") && !principal.contains('*'), "{principal}");
    let placeholder = statement["Condition"]["StringEquals"]["sts:ExternalId"].as_str().unwrap();
    assert!(placeholder.parse::<crate::ExternalId>().is_ok(), "{placeholder}");
}

/// The calls as policies spell them.
fn called(sim: &Sim) -> BTreeSet<String> {
    let service =
        |call: &CallRecord| if call.service.starts_with("elb") { "elasticloadbalancing".to_owned() } else { call.service.clone() };
    sim.calls().iter().map(|call| format!("{}:{}", service(call), call.action)).collect()
}

#[tokio::test]
async fn exactly_the_declared_actions_are_called() {
    let mut world = furnished(OWN, &[EU, US]);
    let other = world.account(OTHER);
    other.role("DewpointReader", &[OWN]);
    furnish(other.region(EU));
    world.organize(OWN);
    let sim = start(world);
    let setup = setup(&sim, OWN, &[]).accounts(Accounts::Organization);
    let source = setup.build();
    let pulled = pull(&source).await;
    // GetCallerIdentity needs no permission.
    let own = ["sts:GetCallerIdentity"];
    let declared: BTreeSet<String> =
        crate::ACTIONS.iter().chain(crate::HUB_ACTIONS).chain(&own).map(|action| (*action).to_owned()).collect();
    assert_eq!(called(&sim), declared, "a pull of a world that has everything");
    sim.clear_calls();
    assert!(source.doctor().await.iter().all(|finding| finding.outcome == Health::Ok));
    assert_eq!(called(&sim), declared, "the checks");
    sim.clear_calls();
    let keys: Vec<(Key, Kind)> = pulled.resources.values().map(|one| (one.key.clone(), one.kind)).collect();
    source.look_up(&keys, &Notes::default()).await;
    assert!(called(&sim).is_subset(&declared), "{:?}", called(&sim));
}

/// The findings that are not as they should be.
fn troubles(findings: &[Finding]) -> Vec<&Finding> {
    for finding in findings {
        assert_eq!(finding.subject, "cloud");
        assert_eq!(finding.mend.is_some(), finding.outcome != Health::Ok, "{finding:?}");
    }
    findings.iter().filter(|finding| finding.outcome != Health::Ok).collect()
}

#[tokio::test]
async fn all_is_well() {
    let sim = start(furnished(OWN, &[EU, US]));
    let findings = setup(&sim, OWN, &[EU, US]).build().doctor().await;
    assert_eq!(troubles(&findings), Vec::<&Finding>::new());
    let checks: Vec<&str> = findings.iter().map(|finding| finding.check.as_str()).collect();
    let mut wanted = vec!["identity".to_owned(), "clock".to_owned(), "ec2:DescribeRegions".to_owned(), format!("region {EU}")];
    wanted.extend(crate::ACTIONS.iter().filter(|action| **action != "ec2:DescribeRegions").map(|action| format!("{action} in {EU}")));
    wanted.extend([format!("region {US}"), format!("ec2:DescribeInstances in {US}")]);
    assert_eq!(checks, wanted);
    assert_eq!(findings[0].text, format!("account {OWN}, arn:aws:iam::{OWN}:user/tester"));
    let largest =
        sim.calls().iter().filter_map(|call| call.parameters.get("MaxResults").or(call.parameters.get("PageSize"))?.parse().ok()).max();
    assert_eq!(largest, Some(5), "cheap calls");
}

#[tokio::test]
async fn doctor_names_each_action_that_is_missing() {
    let sim = start(bare(OWN, &[EU]));
    for action in crate::ACTIONS {
        let (_, name) = action.split_once(':').unwrap();
        // Of two generations with one name, and one permission, the newer is asked.
        let services = ["ec2", "autoscaling", "elbv2", "elb"];
        sim.faults(services.map(|service| Fault::new(Effect::Deny).service(service).action(name)).to_vec());
        let findings = setup(&sim, OWN, &[EU]).build().doctor().await;
        let found = troubles(&findings);
        if *action == "ec2:DescribeRegions" {
            assert!(found[0].check == *action && found[0].outcome == Health::Error, "{found:?}");
            assert!(found[0].mend.as_deref().unwrap().starts_with("allow ec2:DescribeRegions"), "{found:?}");
            assert!(found[1..].iter().all(|finding| finding.check == format!("region {EU}") && finding.text == "not known"), "{found:?}");
            continue;
        }
        let [finding] = found.as_slice() else { panic!("{action}: {found:?}") };
        assert_eq!((finding.check.clone(), finding.outcome), (format!("{action} in {EU}"), Health::Error));
        assert!(finding.text.starts_with(&format!("source `cloud` may not {action}: ")), "{finding:?}");
        assert_eq!(finding.mend, Some(format!("allow {action} for this identity, see deploy/aws/policy.json")));
    }
}

#[tokio::test]
async fn doctor_tells_a_policy_of_the_organization_from_a_missing_permission() {
    let sim = start(bare(OWN, &[EU]));
    sim.faults(vec![Fault::new(Effect::ScpDeny).action("DescribeVolumes")]);
    let findings = setup(&sim, OWN, &[EU]).build().doctor().await;
    let found = troubles(&findings);
    let [finding] = found.as_slice() else { panic!("{found:?}") };
    let mend = "a service control policy of the organization denies it: leave eu-west-1 out of `regions`, or accept the gap with \
                `dewpoint coverage accept`";
    assert_eq!(finding.mend.as_deref(), Some(mend));
}

#[tokio::test]
async fn doctor_names_the_account_whose_role_fails() {
    let mut world = furnished(OWN, &[EU]);
    world.account(OTHER);
    world.account("333333333333");
    world.organize(OWN).member("333333333333").unwrap().state = "SUSPENDED".to_owned();
    let sim = start(world);
    let setup = setup(&sim, OWN, &[EU]).accounts(Accounts::Organization);
    let findings = setup.build().doctor().await;
    let found = troubles(&findings);
    let [role, suspended] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((role.check.as_str(), role.outcome), ("account 222222222222", Health::Error));
    assert!(role.text.contains("as arn:aws:iam::222222222222:role/DewpointReader: AccessDenied"), "{role:?}");
    assert!(role.mend.as_deref().unwrap().contains("let it trust arn:aws:iam::111111111111:user/tester"), "{role:?}");
    assert_eq!((suspended.check.as_str(), suspended.outcome), ("account 333333333333", Health::Warning));
    assert_eq!(suspended.text, "the organization says that the account is suspended");
    let list = findings.iter().find(|finding| finding.check == "organizations:ListAccounts").unwrap();
    assert_eq!(list.text, "3 accounts, of which 2 are to be read");
    assert!(findings.iter().any(|finding| finding.check == format!("region {EU} of {OWN}")), "whose finding it is");
}

#[tokio::test]
async fn doctor_says_when_the_accounts_cannot_be_listed() {
    let sim = start(bare(OWN, &[EU]));
    let setup = setup(&sim, OWN, &[EU]).accounts(Accounts::Organization);
    let findings = setup.build().doctor().await;
    let found = troubles(&findings);
    let [finding] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((finding.check.as_str(), finding.outcome), ("organizations:ListAccounts", Health::Error));
    assert!(finding.mend.as_deref().unwrap().contains("deploy/aws/hub-policy.json"));
}

#[tokio::test]
async fn doctor_names_regions_that_cannot_be_read() {
    let mut world = bare(OWN, &[EU, US, "eu-west-2"]);
    world.account(OWN).region(US).opt_in = Some(OptIn::NotOptedIn);
    world.account(OWN).denials = vec![Denial { region: Some("eu-west-2".to_owned()), ..Denial::default() }];
    let sim = start(world);
    let setup = setup(&sim, OWN, &[EU, US, "eu-west-2", "eu-wset-1"]);
    let findings = setup.build().doctor().await;
    let found: Vec<(&str, Health)> = troubles(&findings).iter().map(|finding| (finding.check.as_str(), finding.outcome)).collect();
    assert_eq!(
        found,
        [
            ("region us-east-1", Health::Warning),
            ("ec2:DescribeInstances in eu-west-2", Health::Error),
            ("region eu-wset-1", Health::Warning),
            ("ec2:DescribeInstances in eu-wset-1", Health::Error),
        ]
    );
}

#[tokio::test]
async fn doctor_says_when_the_clock_is_wrong() {
    let sim = start(bare(OWN, &[EU]));
    for (ahead, outcome, text) in [(120, Health::Warning, "behind AWS"), (-120, Health::Warning, "ahead of AWS")] {
        sim.settings(|settings| settings.clock_ahead_s = ahead);
        let setup = setup(&sim, OWN, &[EU]);
        let findings = setup.build().doctor().await;
        let found = troubles(&findings);
        let [finding] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((finding.check.as_str(), finding.outcome), ("clock", outcome));
        assert!(finding.text.contains(text), "{finding:?}");
    }
}

/// From five minutes on nothing is signed well. STS' answer lets the SDK correct itself, EC2's does not.
#[tokio::test]
async fn a_clock_that_aws_refuses_is_named() {
    let sim = start(bare(OWN, &[EU]));
    for (ahead, text) in [(900, "s behind AWS"), (-900, "s ahead of AWS")] {
        sim.settings(|settings| settings.clock_ahead_s = ahead);
        let source = setup(&sim, OWN, &[EU]).build();
        let findings = source.doctor().await;
        let clock = findings.iter().find(|finding| finding.check == "clock").unwrap();
        assert_eq!(clock.outcome, Health::Error, "{findings:?}");
        assert!(clock.text.contains(text), "{clock:?}");
        for finding in troubles(&findings).iter().filter(|finding| finding.check != "region eu-west-1") {
            assert_eq!(finding.mend.as_deref(), Some("set this machine's clock, best by NTP"), "{finding:?}");
        }
        let told = match source.pull(&Notes::default()).await {
            Ok(pull) => error_of(&pull, OWN, EU, Kind::Instance),
            Err(error) => error.to_string(),
        };
        assert!(told.starts_with("source `cloud` is refused: this machine's clock is ") && told.contains(text), "{told}");
    }
}

#[tokio::test]
async fn doctor_says_when_the_credentials_are_refused() {
    let sim = start(bare(OWN, &[EU]));
    sim.faults(vec![Fault::new(Effect::AuthFailure).action("GetCallerIdentity")]);
    let findings = setup(&sim, OWN, &[EU]).build().doctor().await;
    let [finding, clock] = findings.as_slice() else { panic!("{findings:?}") };
    assert_eq!((clock.check.as_str(), clock.outcome), ("clock", Health::Ok), "a refusal tells the time, too");
    assert_eq!((finding.check.as_str(), finding.outcome), ("credentials", Health::Error));
    assert!(finding.mend.as_deref().unwrap().contains("AWS_PROFILE"));
    assert!(!format!("{findings:?}").contains(&secret(OWN)));
}
