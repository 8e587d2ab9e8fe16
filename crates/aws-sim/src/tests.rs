//! The server without its socket: whole listings of random worlds, buckets, and what faults leave behind.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;

use dewpoint_sim_kit::{Common, Product as _, Request, Response, Script, clock};
use jiff::SignedDuration;
use proptest::prelude::*;

use crate::{
    Bucket, Clock, Effect, Fault, Rates, Service, Settings,
    server::{Server, actions},
    sigv4, sts,
    world::{Denial, Region, Spec, World},
};

const ACCOUNT: &str = "111111111111";
const MEMBER: &str = "222222222222";
const REGION: &str = "eu-west-1";

fn server(world: World, rates: Rates) -> Server {
    let clock = Clock::manual("2026-08-01T00:00:00Z".parse().unwrap());
    Server::new(world, Common::new(Settings { rates, ..Settings::default() }, clock), false)
}

fn call(server: &Server, service: &str, version: &str, action: &str, parameters: &[(&str, &str)]) -> Response {
    call_as(ACCOUNT, server, service, version, action, parameters)
}

fn call_as(account: &str, server: &Server, service: &str, version: &str, action: &str, parameters: &[(&str, &str)]) -> Response {
    let form = [("Action", action), ("Version", version)]
        .iter()
        .chain(parameters)
        .map(|(name, value)| format!("{name}={value}"))
        .collect::<Vec<_>>()
        .join("&");
    let mut request = Request {
        method: "POST".to_owned(),
        path: "/".to_owned(),
        query: String::new(),
        headers: vec![("host".to_owned(), "localhost".to_owned())],
        body: form.into_bytes(),
    };
    let (key, secret) = {
        let state = server.state();
        let account = &state.world.accounts[account];
        (account.key_id(), account.secret())
    };
    sigv4::sign(&mut request, &key, &secret, REGION, service);
    server.answer_call(&request).response
}

/// A listing: where, its action, the names of its page size and of its tokens in and out, and what stands before an item's name and after it.
struct Listing {
    service: &'static str,
    version: &'static str,
    action: &'static str,
    size: &'static str,
    tokens: (&'static str, &'static str),
    around: (&'static str, &'static str),
    /// How small a page may be.
    least: usize,
    names: fn(&Region) -> Vec<String>,
}

fn keys<T>(of: &BTreeMap<String, T>) -> Vec<String> {
    of.keys().cloned().collect()
}

fn listings() -> Vec<Listing> {
    let ec2 = |action, around, names| Listing {
        service: "ec2",
        version: "2016-11-15",
        action,
        size: "MaxResults",
        tokens: ("NextToken", "nextToken"),
        around,
        least: 5,
        names,
    };
    let elb = |version, action, around, names| Listing {
        service: "elasticloadbalancing",
        version,
        action,
        size: "PageSize",
        tokens: ("Marker", "NextMarker"),
        around,
        least: 1,
        names,
    };
    vec![
        ec2("DescribeInstances", ("<item><instanceId>", "</instanceId><imageId>"), |region| keys(&region.instances)),
        ec2("DescribeNetworkInterfaces", ("<item><networkInterfaceId>", "</"), |region| keys(&region.interfaces)),
        ec2("DescribeVolumes", ("<item><volumeId>", "</volumeId><size>"), |region| keys(&region.volumes)),
        ec2("DescribeSecurityGroups", ("</ownerId><groupId>", "</"), |region| keys(&region.groups)),
        ec2("DescribeVpcs", ("<item><vpcId>", "</"), |region| keys(&region.vpcs)),
        ec2("DescribeSubnets", ("<item><subnetId>", "</"), |region| keys(&region.subnets)),
        elb("2015-12-01", "DescribeLoadBalancers", ("<member><LoadBalancerArn>", "</"), |region| keys(&region.balancers)),
        elb("2015-12-01", "DescribeTargetGroups", ("<member><TargetGroupArn>", "</"), |region| keys(&region.target_groups)),
        elb("2012-06-01", "DescribeLoadBalancers", ("<member><LoadBalancerName>", "</"), |region| keys(&region.classic_balancers)),
        Listing {
            service: "autoscaling",
            version: "2011-01-01",
            action: "DescribeAutoScalingGroups",
            size: "MaxRecords",
            tokens: ("NextToken", "NextToken"),
            around: ("<member><AutoScalingGroupName>", "</"),
            least: 1,
            names: |region| keys(&region.scaling_groups),
        },
    ]
}

/// The names in a text that stand between these two.
fn between(text: &str, (before, after): (&str, &str)) -> Vec<String> {
    text.split(before)
        .skip(1)
        .filter_map(|rest| rest.split_once('<').filter(|(_, tail)| format!("<{tail}").starts_with(after)).map(|(name, _)| name.to_owned()))
        .collect()
}

/// All names, page by page, as they come.
fn list(server: &Server, listing: &Listing, size: usize, mut after_page: impl FnMut(usize)) -> Vec<Vec<String>> {
    let size = size.max(listing.least).to_string();
    let (mut pages, mut token) = (Vec::new(), String::new());
    loop {
        let mut parameters = vec![(listing.size, size.as_str())];
        if !token.is_empty() {
            parameters.push((listing.tokens.0, &token));
        }
        let response = call(server, listing.service, listing.version, listing.action, &parameters);
        let text = String::from_utf8(response.body).unwrap();
        assert_eq!(response.status, 200, "{text}");
        pages.push(between(&text, listing.around));
        token = between(&text, (&format!("<{}>", listing.tokens.1), "</")).pop().unwrap_or_default();
        if token.is_empty() {
            return pages;
        }
        after_page(pages.len());
    }
}

prop_compose! {
    fn any_spec()(
        instances in 0_usize..40,
        groups in 0_usize..20,
        interfaces_per in 1_usize..3,
        volumes_per in 1_usize..3,
        balancers in 0_usize..8,
        classic_balancers in 0_usize..8,
        scaling_groups in 0_usize..8,
        seed in any::<u64>(),
    ) -> Spec {
        Spec { account: ACCOUNT.to_owned(), region: REGION.to_owned(), instances, groups, interfaces_per, volumes_per, balancers, classic_balancers, targets_per: 2, scaling_groups, tags_per: 2, seed }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_whole_listing_is_the_world(spec in any_spec(), size in 1_usize..30) {
        let server = server(World::generate(&spec), Rates::unlimited());
        let world = server.state().world.clone();
        for listing in listings() {
            let expected = (listing.names)(&world.accounts[ACCOUNT].places[REGION]);
            let pages = list(&server, &listing, size, |_| {});
            let size = size.max(listing.least);
            prop_assert_eq!(pages.len(), expected.len().div_ceil(size).max(1), "{}", listing.action);
            prop_assert!(pages.iter().all(|page| page.len() <= size));
            let mut found = pages.concat();
            found.sort();
            prop_assert_eq!(&found, &expected, "{}", listing.action);
        }
    }

    #[test]
    fn what_stays_is_listed_while_other_things_come_and_go(spec in any_spec(), size in 1_usize..10) {
        let server = server(World::generate(&spec), Rates::unlimited());
        for listing in listings().into_iter().take(3) {
            let before = (listing.names)(&server.state().world.accounts[ACCOUNT].places[REGION]);
            let pages = list(&server, &listing, size, |page| {
                let mut state = server.state();
                state.edit(|world, now| {
                    let region = world.account(ACCOUNT).region(REGION);
                    region.instance(&format!("new-{page}"));
                    // Machines are gone from every third page on.
                    let last = region.instances.keys().next_back().cloned();
                    if page % 3 == 0 && let Some(last) = last {
                        assert_eq!(region.terminate(&last, now), Ok(()));
                        region.instances.remove(&last);
                    }
                });
            });
            let after = (listing.names)(&server.state().world.accounts[ACCOUNT].places[REGION]);
            let mut found = pages.concat();
            found.sort();
            let mut distinct = found.clone();
            distinct.dedup();
            prop_assert_eq!(&found, &distinct);
            for name in before.iter().filter(|name| after.contains(name)) {
                prop_assert!(found.contains(name), "{} lost {name}", listing.action);
            }
        }
    }
}

#[test]
fn two_listings_have_two_orders() {
    let server = server(World::generate(&Spec::default()), Rates::unlimited());
    let listing = &listings()[0];
    let (one, other) = (list(&server, listing, 1000, |_| {}), list(&server, listing, 1000, |_| {}));
    assert_ne!(one, other);
}

#[test]
fn buckets_are_of_aws_s_sizes_by_default() {
    let server = server(World::generate(&Spec::default()), Rates::default());
    let volumes = |parameters: &[(&str, &str)]| call(&server, "ec2", "2016-11-15", "DescribeVolumes", parameters);
    let until_refused = |parameters: &[(&str, &str)]| (0..1000).take_while(|_| volumes(parameters).status == 200).count();
    assert_eq!(until_refused(&[("MaxResults", "1000")]), 100);
    assert_eq!(until_refused(&[]), 50);
    let refused = volumes(&[]);
    assert_eq!(refused.status, 503);
    assert!(
        String::from_utf8(refused.body).unwrap().contains("<Code>RequestLimitExceeded</Code><Message>Request limit exceeded.</Message>")
    );
    server.state().common.clock.advance(SignedDuration::from_secs(2));
    assert_eq!(until_refused(&[("MaxResults", "1000")]), 40);
    let elsewhere = || call(&server, "elasticloadbalancing", "2015-12-01", "DescribeLoadBalancers", &[]);
    assert_eq!((0..1000).take_while(|_| elsewhere().status == 200).count(), 40);
    assert!(String::from_utf8(elsewhere().body).unwrap().contains("<Code>Throttling</Code>"));
}

#[test]
fn answers_have_their_headers() {
    let server = server(World::generate(&Spec::default()), Rates::default());
    for response in [call(&server, "ec2", "2016-11-15", "DescribeVpcs", &[]), call(&server, "sts", "2011-06-15", "Nothing", &[])] {
        for name in ["Date", "x-amzn-RequestId", "Content-Type"] {
            assert!(response.headers.iter().any(|(known, _)| *known == name), "{name}");
        }
    }
}

#[test]
fn every_call_is_logged_with_its_end() {
    let server = server(World::generate(&Spec::default()), Rates::default());
    server.state().common.script = Script::new(vec![Fault::new(Effect::ScpDeny).action("DescribeVpcs").nth(2)]);
    for _ in 0..2 {
        call(&server, "ec2", "2016-11-15", "DescribeVpcs", &[("MaxResults", "5")]);
    }
    let calls = server.state().common.log.calls.clone();
    let seen: Vec<_> = calls.iter().map(|call| (call.account.as_str(), call.action.as_str(), call.status, call.error.as_deref())).collect();
    assert_eq!(seen, [(ACCOUNT, "DescribeVpcs", 200, None), (ACCOUNT, "DescribeVpcs", 403, Some("UnauthorizedOperation"))]);
    assert_eq!(calls[0].parameters["MaxResults"], "5");
    let sums = server.state().common.log.sums.clone();
    assert_eq!((sums.requests, sums.by_operation["ec2:DescribeVpcs"], sums.by_status[&403]), (2, 2, 1));
}

#[test]
fn a_fault_is_not_used_up_by_a_call_that_its_bucket_refuses() {
    let one = Bucket { capacity: 1, refill_per_s: 1.0 };
    let server = server(World::generate(&Spec::default()), Rates { ec2: one, ..Rates::default() });
    server.state().common.script =
        Script::new(vec![Fault::new(Effect::Throttle).nth(2).times(1), Fault::new(Effect::Deny).nth(2).times(1)]);
    let status = || call(&server, "ec2", "2016-11-15", "DescribeVpcs", &[]).status;
    assert_eq!([status(), status(), status()], [200, 503, 503], "refused by the bucket");
    server.state().common.clock.advance(SignedDuration::from_secs(1));
    assert_eq!(
        [status(), status(), status()],
        [503, 403, 503],
        "by the first fault, which costs no call, by the second, and by the bucket"
    );
    server.state().common.clock.advance(SignedDuration::from_secs(1));
    assert_eq!([status(), status()], [200, 503]);
}

#[test]
fn service_control_policies_bind_members_only() {
    let mut world = World::generate(&Spec::default());
    for account in [ACCOUNT, MEMBER] {
        world.account(account).denials.push(Denial::default());
    }
    let server = server(world, Rates::default());
    let regions = |account| call_as(account, &server, "ec2", "2016-11-15", "DescribeRegions", &[]).status;
    assert_eq!([ACCOUNT, MEMBER].map(regions), [403, 403], "each in an organization that is not of this world");
    server.state().edit(|world, _| {
        world.organize(ACCOUNT);
    });
    assert_eq!([ACCOUNT, MEMBER].map(regions), [200, 403]);
    let whoami = |account| call_as(account, &server, "sts", "2011-06-15", "GetCallerIdentity", &[]).status;
    assert_eq!([ACCOUNT, MEMBER].map(whoami), [200, 200]);
}

#[test]
fn a_client_whose_clock_is_off_is_told_so_and_told_the_time() {
    let server = server(World::generate(&Spec::default()), Rates::default());
    let skewed = |ahead: i64, service, version, action| {
        server.state().common.settings.clock_ahead_s = ahead;
        let before = clock::wall();
        let response = call(&server, service, version, action, &[]);
        let date = &response.headers.iter().find(|(name, _)| *name == "Date").unwrap().1;
        let date = jiff::fmt::rfc2822::parse(date).unwrap().timestamp();
        let off = date.duration_since(before).as_secs() - ahead;
        assert!((-1..=5).contains(&off), "{date} is {off} s off");
        (response.status, String::from_utf8(response.body).unwrap())
    };
    for (ahead, word) in [(302, "Signature expired: "), (-310, "Signature not yet current: ")] {
        for (service, version, action) in [
            ("sts", "2011-06-15", "GetCallerIdentity"),
            ("elasticloadbalancing", "2015-12-01", "DescribeLoadBalancers"),
            ("elasticloadbalancing", "2012-06-01", "DescribeLoadBalancers"),
            ("autoscaling", "2011-01-01", "DescribeAutoScalingGroups"),
        ] {
            let (status, body) = skewed(ahead, service, version, action);
            assert_eq!(status, 403);
            assert!(body.contains(&format!("<Code>SignatureDoesNotMatch</Code><Message>{word}2")), "{body}");
        }
        let (status, body) = skewed(ahead, "ec2", "2016-11-15", "DescribeVpcs");
        assert_eq!(status, 400);
        assert!(body.contains("<Code>RequestExpired</Code><Message>Request has expired. Timestamp date is 2"), "{body}");
    }
    for ahead in [290, -295] {
        assert_eq!(skewed(ahead, "ec2", "2016-11-15", "DescribeVpcs").0, 200);
    }
}

/// What the crate page says is served, by service and version.
fn listed() -> BTreeMap<(&'static str, &'static str), Vec<&'static str>> {
    let page = include_str!("lib.rs").lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
    let rows = page.skip_while(|line| *line != "# What is served").skip(1).take_while(|line| !line.starts_with('#'));
    rows.filter_map(|row| {
        let [service, version, actions] = row.strip_prefix('|')?.strip_suffix('|')?.split('|').collect::<Vec<_>>().try_into().ok()?;
        let service = service.trim().strip_prefix('`')?.strip_suffix('`')?;
        Some(((service, version.trim()), actions.split(',').map(|action| action.trim().trim_matches('`')).collect()))
    })
    .collect()
}

#[test]
fn the_crate_page_lists_what_is_served() {
    let served = Service::ALL.map(|service| {
        let mut actions: Vec<&str> = match service {
            Service::Sts => sts::ACTIONS.iter().map(|(name, _)| *name).collect(),
            service => actions(service).iter().map(|(name, _)| *name).collect(),
        };
        actions.sort_unstable();
        ((service.name(), service.version()), actions)
    });
    assert_eq!(listed(), BTreeMap::from(served));
}
