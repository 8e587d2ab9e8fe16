//! Tokens: who gets one, and which are taken.

use dewpoint_azure_sim::{
    Effect, Fault, Mishap,
    world::{CLIENT, CLIENT_SECRET, Federation, Secret, TENANT, World},
};
use jiff::SignedDuration;
use serde_json::json;

use crate::support::{bearer, get, grant, log_in, send, start, start_with};

const SUBSCRIPTIONS: &str = "/subscriptions?api-version=2022-12-01";
const MANAGER: &str = "https://management.azure.com/.default";

#[test]
fn the_form_is_judged_field_by_field() {
    let mut world = World::new();
    let now = jiff::Timestamp::now();
    world.application(CLIENT).secrets.push(Secret { value: "old".to_owned(), expires: Some(now - SignedDuration::from_hours(1)) });
    world.application("00000000-0000-4000-8000-00000000000b").blocked = true;
    world.application("00000000-0000-4000-8000-00000000000b").secrets.push(Secret { value: "b".to_owned(), expires: None });
    let sim = start(world);
    let whole = [("grant_type", "client_credentials"), ("client_id", CLIENT), ("client_secret", CLIENT_SECRET), ("scope", MANAGER)];
    let with = |changes: &[(&str, Option<&'static str>)], tenant: &str| {
        let mut fields: Vec<(&str, &str)> = whole.to_vec();
        for (name, value) in changes {
            fields.retain(|(known, _)| known != name);
            fields.extend(value.map(|value| (*name, value)));
        }
        let answer = grant(&sim, tenant, &fields);
        let number = answer.json()["error_codes"][0].as_u64().unwrap_or_default();
        assert_eq!(
            answer.json()["error_description"].as_str().is_some_and(|text| text.starts_with(&format!("AADSTS{number}: "))),
            number > 0
        );
        (answer.status, number)
    };
    for (changes, expected) in [
        (vec![], (200, 0)),
        (vec![("grant_type", None)], (400, 900_144)),
        (vec![("grant_type", Some("password"))], (400, 70003)),
        (vec![("client_id", Some("00000000-0000-4000-8000-00000000000c"))], (400, 700_016)),
        (vec![("client_secret", None)], (401, 7_000_218)),
        (vec![("client_secret", Some("wrong"))], (401, 7_000_215)),
        (vec![("client_secret", Some("old"))], (401, 7_000_222)),
        (vec![("client_secret", None), ("client_assertion", Some("x"))], (400, 900_144)),
        (vec![("scope", None)], (400, 900_144)),
        (vec![("scope", Some("https://management.azure.com/user_impersonation"))], (400, 1_002_012)),
        (vec![("scope", Some("https://elsewhere.example/.default"))], (400, 500_011)),
        (vec![("client_id", Some("00000000-0000-4000-8000-00000000000b")), ("client_secret", Some("b"))], (400, 53003)),
    ] {
        assert_eq!(with(&changes, TENANT), expected, "{changes:?}");
    }
    assert_eq!(with(&[], "11111111-1111-4111-8111-111111111111"), (400, 90002));
    let json = [("Content-Type", "application/json".to_owned())];
    assert_eq!(send(&sim, "POST", &format!("/{TENANT}/oauth2/v2.0/token"), &json, "{}").status, 400);
    assert_eq!(send(&sim, "GET", &format!("/{TENANT}/oauth2/v2.0/token"), &[], "").status, 405);
}

#[test]
fn the_token_endpoint_fails_by_script() {
    let sim = start(World::new());
    let error = Effect::Error { status: 503, code: "AADSTS90033".to_owned(), message: "A transient error has occurred.".to_owned() };
    let throttle = Effect::Throttle { retry_after_s: Some(7), compute: false };
    sim.faults([error, throttle].map(|effect| Fault::new(effect).operation("token").times(1)).to_vec());
    let failed = log_in(&sim, MANAGER);
    assert_eq!((failed.status, failed.json()["error_codes"][0].as_u64()), (503, Some(90033)));
    let throttled = log_in(&sim, MANAGER);
    assert_eq!((throttled.status, throttled.header("retry-after")), (429, "7"));
    assert_eq!(log_in(&sim, MANAGER).status, 200);
}

#[test]
fn a_token_that_does_not_fit_is_challenged() {
    let sim = start(World::new());
    let refusal = |headers: &[(&str, String)]| {
        let answer = send(&sim, "GET", SUBSCRIPTIONS, headers, "");
        assert!(answer.header("www-authenticate").starts_with("Bearer authorization_uri="), "{:?}", answer.headers);
        answer.refusal()
    };
    assert_eq!(refusal(&[]), (401, "AuthenticationFailed".to_owned()));
    assert_eq!(refusal(&[("Authorization", "Basic eA==".to_owned())]), (401, "AuthenticationFailed".to_owned()));
    assert_eq!(refusal(&bearer("eyJ.eyJ.x")), (401, "InvalidAuthenticationToken".to_owned()));
    let other = log_in(&sim, "https://graph.microsoft.com/.default").json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(refusal(&bearer(&other)), (401, "InvalidAuthenticationTokenAudience".to_owned()));

    let token = log_in(&sim, MANAGER).json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(send(&sim, "GET", SUBSCRIPTIONS, &bearer(&token), "").status, 200);
    sim.advance(SignedDuration::from_secs(3601));
    assert_eq!(refusal(&bearer(&token)), (401, "ExpiredAuthenticationToken".to_owned()));
    let token = log_in(&sim, MANAGER).json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(send(&sim, "GET", SUBSCRIPTIONS, &bearer(&token), "").status, 200);
    sim.expire_tokens();
    assert_eq!(refusal(&bearer(&token)), (401, "ExpiredAuthenticationToken".to_owned()));
    sim.faults(vec![Fault::new(Effect::ExpiredToken).times(1)]);
    assert_eq!([get(&sim, SUBSCRIPTIONS).status, get(&sim, SUBSCRIPTIONS).status], [401, 200]);
}

#[test]
fn simulators_of_one_seed_take_each_others_tokens() {
    let (one, other) = (start(World::new()), start(World::new()));
    let stranger = start_with(World::new(), |start| start.settings.seed = 2);
    let token = one.token(CLIENT);
    let status = |sim: &_| send(sim, "GET", SUBSCRIPTIONS, &bearer(&token), "").status;
    assert_eq!([status(&other), status(&stranger)], [200, 401]);
}

/// A token of another issuer's, which nobody signed.
fn foreign(claims: &serde_json::Value) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    format!(
        "{}.{}.{}",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#),
        URL_SAFE_NO_PAD.encode(claims.to_string()),
        URL_SAFE_NO_PAD.encode("x")
    )
}

#[test]
fn only_the_newest_token_of_an_issuer_is_taken() {
    let now = jiff::Timestamp::now().as_second();
    let claims = |end: i64| json!({"iss": "https://issuer", "sub": "sync", "aud": ["api://AzureADTokenExchange"], "exp": end});
    let (old, new) = (foreign(&claims(now + 600)), foreign(&claims(now + 700)));
    let mut world = World::new();
    let issuer = || Federation { issuer: "https://issuer".to_owned(), subject: "sync".to_owned(), ..Federation::default() };
    world.application(CLIENT).federations = vec![Federation { token: Some(new.clone()), ..issuer() }];
    let sim = start(world);
    let ask = |text: &str, kind: &str| {
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_id", CLIENT),
            ("client_assertion", text),
            ("client_assertion_type", kind),
            ("scope", MANAGER),
        ];
        let answer = grant(&sim, TENANT, &fields).json();
        answer["error_codes"][0].as_u64().unwrap_or_default()
    };
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    assert_eq!([ask(&new, kind), ask(&old, kind), ask("x", kind), ask(&new, "urn:other")], [0, 50013, 50027, 700_212]);
    sim.advance(SignedDuration::from_mins(20));
    assert_eq!(ask(&new, kind), 700_024);
    sim.edit(|world| world.application(CLIENT).federations.clear());
    assert_eq!(ask(&new, kind), 70021);
}

const IMDS: &str = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F";

#[test]
fn the_metadata_service_gives_numbers_as_text() {
    let mut world = World::new();
    world.application(CLIENT).managed = true;
    let sim = start(world);
    let ask = |target: &str, headers: &[(&str, String)]| send(&sim, "GET", target, headers, "");
    let metadata = [("Metadata", "true".to_owned())];
    let answer = ask(IMDS, &metadata);
    let fields = answer.json();
    assert_eq!(answer.status, 200);
    for name in ["expires_on", "expires_in", "ext_expires_in", "not_before"] {
        assert!(fields[name].as_str().is_some_and(|text| text.parse::<i64>().is_ok()), "{name}: {fields}");
    }
    let token = fields["access_token"].as_str().unwrap();
    assert_eq!(ask(SUBSCRIPTIONS, &bearer(token)).status, 200);

    assert_eq!(ask(IMDS, &[]).status, 400);
    assert_eq!(ask(IMDS, &[metadata[0].clone(), ("X-Forwarded-For", "1.2.3.4".to_owned())]).status, 400);
    assert_eq!(ask(&IMDS.replace("2018-02-01", "2001-01-01"), &metadata).status, 400);
    let unknown = ask(&format!("{IMDS}&client_id={TENANT}"), &metadata);
    assert_eq!((unknown.status, unknown.json()["error_description"].as_str()), (400, Some("Identity not found")));
    sim.faults(vec![Fault::new(Effect::Mishap(Mishap::Empty { status: 410 })).operation("imds").times(1)]);
    assert_eq!([ask(IMDS, &metadata).status, ask(IMDS, &metadata).status], [410, 200]);
}

#[test]
fn several_identities_have_to_be_named() {
    let mut world = World::new();
    let names = ["00000000-0000-4000-8000-00000000000d", "00000000-0000-4000-8000-00000000000e"];
    for name in names {
        world.application(name).managed = true;
        world.application(name).resource_id = Some(format!("/subscriptions/s/userAssignedIdentities/{name}"));
    }
    let sim = start(world);
    let headers = [("Metadata", "true".to_owned())];
    let client = |more: &str| {
        let answer = send(&sim, "GET", &format!("{IMDS}{more}"), &headers, "").json();
        answer["client_id"].as_str().map(str::to_owned)
    };
    assert_eq!(client(""), None);
    assert_eq!(client(&format!("&client_id={}", names[1])).as_deref(), Some(names[1]));
    assert_eq!(client(&format!("&msi_res_id=/subscriptions/s/userassignedidentities/{}", names[0])).as_deref(), Some(names[0]));
    assert_eq!(client(&format!("&client_id={}&object_id=x", names[1])), None);
}

#[test]
fn app_service_wants_its_header() {
    let mut world = World::new();
    world.application(CLIENT).managed = true;
    let sim = start(world);
    let target = "/msi/token?api-version=2019-08-01&resource=https://management.azure.com";
    let ask = |header: &str| send(&sim, "GET", target, &[("X-IDENTITY-HEADER", header.to_owned())], "");
    assert_eq!(ask("wrong").status, 401);
    assert!(ask("sim-identity-header").json()["expires_on"].as_str().unwrap().parse::<i64>().is_ok());
    sim.settings(|settings| settings.identity_dates = true);
    assert!(ask("sim-identity-header").json()["expires_on"].as_str().unwrap().contains('/'));
}
