//! Whatever is in the file: an answer, not a panic; and the pieces agree with each other.

use std::path::Path;

use dewpoint_core::model::Region;
use proptest::prelude::*;

use super::super::aws::{AccountId, RoleArn, RoleName};
use super::super::azure::{
    ApiVersion, AuthorityUrl, ClientId, HttpsUrl, IdentityId, ManagementGroupName, ObjectId, ResourceType, SubscriptionId, TenantName,
};
use super::super::leaf::{AnyDuration, CallTimeout, DurationOrNever, HttpUrl, Leaf, LedgerAddress, Name, PositiveDuration};
use super::super::load::{FILE_BYTES_MAX, load_bytes};
use super::super::secret::SecretRef;
use super::{EXAMPLE, MINIMAL, load_str};

/// Loads and renders in every way.
fn exercise(bytes: &[u8]) {
    if let Err(errors) = load_bytes("x.yaml", bytes, Path::new("/")) {
        assert!(!errors.errors().is_empty());
        let drawn = errors.render(false);
        assert!(!drawn.contains('\u{1b}'));
        assert_eq!(errors.to_string().is_empty(), drawn.is_empty());
        for error in errors.errors() {
            assert!(error.line >= 1 && error.column >= 1);
        }
    }
}

/// Large files, each made to be slow in one way: a quadratic step in any of them takes minutes.
#[test]
fn large_files_are_answered() {
    let size = usize::try_from(FILE_BYTES_MAX / 4).unwrap();
    let fill = |piece: &dyn Fn(usize) -> String| {
        let mut text = String::new();
        for index in 0.. {
            let piece = piece(index);
            if text.len() + piece.len() > size {
                break;
            }
            text.push_str(&piece);
        }
        text
    };
    let files = [
        fill(&|index| format!("a{index}: 1\n")),
        fill(&|_| "a: 1\n".to_owned()),
        fill(&|index| format!("{}a{index}: 1", if index == 0 { "{" } else { ", " })) + "}",
        format!("sources: [{}]", fill(&|_| "{},".to_owned()).split_at(size - 20).0),
        fill(&|index| if index == 0 { "sources:\n".to_owned() } else { "- { name: a, kind: file, path: x, y: [ }]\n".to_owned() }),
        fill(&|index| if index == 0 { "sources:\n".to_owned() } else { "- { name: a, kind: file, path: x, y: z }\n".to_owned() }),
        fill(&|index| if index == 0 { "a: &a 1\nsources:\n".to_owned() } else { "- *a\n".to_owned() }),
        fill(&|_| "password: ".to_owned()),
        fill(&|_| "://@password=".to_owned()),
        "x".repeat(size),
        format!("? {}", "x".repeat(size - 10)),
        format!("{}: 1", "x".repeat(size - 10)),
        format!("a: '{}", "x\n ".repeat(size / 4)),
        format!("a: |\n{}", " x\n".repeat(size / 4)),
        "- ".repeat(size / 2),
        "? ".repeat(size / 2),
        "\n".repeat(size),
        "#".repeat(size),
    ];
    for text in files {
        exercise(text.as_bytes());
    }
}

/// Pieces of YAML and of configurations, to get further than noise does.
fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(MINIMAL.to_owned()),
        Just("sources:".to_owned()),
        Just("\n  - ".to_owned()),
        Just("\n    ".to_owned()),
        Just("ledger_password: |\n ".to_owned()),
        Just("{ kind: aws, regions: [".to_owned()),
        Just("{ name: a, kind: aws, accounts: [{ id: '".to_owned()),
        Just("123456789012".to_owned()),
        Just("role_arn: arn:aws:iam::123456789012:role/".to_owned()),
        Just("external_id: ".to_owned()),
        Just("{ name: z, kind: azure, tenant: a.b, subscriptions: [".to_owned()),
        Just("credential: { kind: client_secret, client_id: env:I, client_secret: ".to_owned()),
        Just("credential: { kind: managed_identity, resource_id: /subscriptions/".to_owned()),
        Just("11111111-2222-3333-4444-555555555555".to_owned()),
        Just("api_versions: { Microsoft.Compute/disks: ".to_owned()),
        Just("endpoints: { resource_manager: https://".to_owned()),
        Just("{ name: s, kind: servicenow, url: http://127.0.0.1:1, auth: { ".to_owned()),
        Just("basic: { username: env:U, password: ".to_owned()),
        Just("mapping: { instance: { fields: { a: ".to_owned()),
        Just("ci.tags[".to_owned()),
        Just("rate: { ec2: {".to_owned()),
        Just("]}".to_owned()),
        Just("'".to_owned()),
        Just("\"\\x".to_owned()),
        Just("? ".to_owned()),
        Just(": ".to_owned()),
        Just("&a *a ".to_owned()),
        Just("!!str ".to_owned()),
        Just("---\n".to_owned()),
        Just("%YAML 1.2\n".to_owned()),
        Just("postgres://a:b@c".to_owned()),
        Just("15m".to_owned()),
        Just("\r".to_owned()),
        Just("\t".to_owned()),
        Just("ä\u{2028}\u{feff}".to_owned()),
        "[ -~]{0,12}",
    ]
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        exercise(&bytes);
    }

    #[test]
    fn random_pieces_never_panic(pieces in proptest::collection::vec(fragment(), 0..30)) {
        exercise(pieces.concat().as_bytes());
    }

    #[test]
    fn changed_examples_never_panic(changes in proptest::collection::vec((any::<prop::sample::Index>(), 0usize..20, fragment()), 1..6)) {
        let mut bytes = EXAMPLE.as_bytes().to_vec();
        for (at, length, insert) in changes {
            let at = at.index(bytes.len() + 1);
            let end = (at + length).min(bytes.len());
            bytes.splice(at..end, insert.into_bytes());
        }
        exercise(&bytes);
    }

    #[test]
    fn a_secret_is_not_shown_wherever_it_is_written(secret in "[a-z]{3}[0-9]{5}[a-z#@:?/% ]{0,4}[a-z]", style in 0usize..5, before in fragment(), after in fragment()) {
        let value = match style {
            0 => secret.clone(),
            1 => format!("'{secret}'"),
            2 => format!("\"{secret}\""),
            3 => format!("|\n  {secret}\n"),
            _ => format!("[{secret}]"),
        };
        let text = format!("{before}\nledger: postgres://host/db\nledger_password: {value}\n{after}\n{MINIMAL}");
        let errors = load_str("x.yaml", &text, Path::new("/")).unwrap_err();
        let head = &secret[..8];
        prop_assert!(!errors.render(false).contains(head), "{}", errors.render(false));
        prop_assert!(!errors.to_string().contains(head));
        prop_assert!(!serde_json::to_string(&errors).unwrap().contains(head));
    }

    #[test]
    fn an_external_id_is_not_shown_wherever_it_is_written(secret in "[a-z]{3}[0-9]{5}[a-z#@:?/% ]{0,4}[a-z]", of_account: bool, known: bool, before in fragment(), after in fragment()) {
        let key = if known { "external_id" } else { "externl_id" };
        let source = match of_account {
            true => format!("accounts: [{{ id: '123456789012', {key}: '{secret}' }}]"),
            false if known => format!("accounts: organization\n    {key}: {secret}"),
            false => format!("accounts: organization\n    {key}: '{secret}'"),
        };
        // Where the file is no YAML, keys are known by their sound alone, and a slip has none.
        let (before, after) = if known { (before, after) } else { Default::default() };
        let text = format!("{before}\nsources:\n  - name: a\n    kind: aws\n    {source}\n{after}\n{MINIMAL}");
        let errors = load_str("x.yaml", &text, Path::new("/")).unwrap_err();
        let head = &secret[..8];
        prop_assert!(!errors.render(false).contains(head), "{}", errors.render(false));
        prop_assert!(!errors.to_string().contains(head));
        prop_assert!(!serde_json::to_string(&errors).unwrap().contains(head));
    }

    #[test]
    fn a_credential_of_azure_is_not_shown_wherever_it_is_written(secret in "[a-z]{3}[0-9]{5}[a-z#@:?/% ]{0,4}[a-z]", style in 0usize..6, before in fragment(), after in fragment()) {
        let credential = match style {
            0 => format!("{{ kind: client_secret, client_id: env:I, client_secret: '{secret}' }}"),
            1 => format!("\n      kind: client_secret\n      client_id: '{secret}'\n      client_secret: env:S"),
            2 => format!("{{ kind: client_certificate, client_id: env:I, certificate: '{secret}' }}"),
            3 => format!("{{ kind: azure_cli, certificate: '{secret}' }}"),
            4 => format!("\n      kind: client_certificate\n      certifcate: '{secret}'\n      client_id: env:I"),
            _ => format!("'{secret}'"),
        };
        // Where the file is no YAML, keys are known by their sound alone, and these have none but the first.
        let (before, after) = if style == 0 { (before, after) } else { Default::default() };
        let text = format!("{before}\nsources:\n  - name: a\n    kind: azure\n    tenant: contoso.com\n    credential: {credential}\n{after}\ntargets: [{{ name: b, kind: local, path: c.db }}]\n");
        let errors = load_str("x.yaml", &text, Path::new("/")).unwrap_err();
        let head = &secret[..8];
        prop_assert!(!errors.render(false).contains(head), "{}", errors.render(false));
        prop_assert!(!errors.to_string().contains(head));
        prop_assert!(!serde_json::to_string(&errors).unwrap().contains(head));
    }

    #[test]
    fn ids_of_azure_are_one_whatever_their_case(id in "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}") {
        let folded = id.to_lowercase();
        prop_assert_eq!(TenantName::parse(&id).map(|id| id.to_string()), Ok(folded.clone()));
        prop_assert_eq!(SubscriptionId::parse(&id).map(|id| id.to_string()), Ok(folded.clone()));
        prop_assert_eq!(ObjectId::parse(&id).map(|id| id.to_string()), Ok(folded.clone()));
        prop_assert_eq!(ClientId::parse(&id).map(|id| id.to_string()), Ok(folded));
    }

    #[test]
    fn ids_and_roles_of_accounts_survive_printing(account in "[0-9]{12}", role in "([!-.0-~]{1,9}/){0,3}[A-Za-z0-9_+=,.@-]{1,64}") {
        prop_assert_eq!(AccountId::parse(&account).map(|id| id.to_string()), Ok(account.clone()));
        let arn = format!("arn:aws:iam::{account}:role/{role}");
        prop_assert_eq!(RoleArn::parse(&arn).map(|arn| arn.to_string()), Ok(arn));
        if !role.starts_with("arn:") {
            prop_assert_eq!(RoleName::parse(&format!("/{role}")).map(|role| role.to_string()), Ok(role));
        }
    }

    #[test]
    fn a_password_in_the_ledger_address_is_always_refused(user in "[a-z]{0,5}", password in "[!-~]{1,12}") {
        let address = format!("postgres://{user}:{password}@host/db");
        let problem = LedgerAddress::parse(&address).unwrap_err();
        prop_assert!(problem.secret);
        prop_assert_eq!(problem.text, "a password in a URL is refused");
    }

    #[test]
    fn durations_survive_printing(seconds in 0u64..=36_500 * 86_400) {
        let duration = AnyDuration(std::time::Duration::from_secs(seconds));
        prop_assert_eq!(AnyDuration::parse(&duration.to_string()), Ok(duration));
    }

    #[test]
    fn editors_do_not_refuse_what_we_take(text in "[a-z0-9:/._@-]{0,20}|[0-9]{11,13}|arn:aws(-cn)?:iam::[0-9]{12}:role/[a-zA-Z+/]{0,9}|[0-9]{1,3}[wdhms]([0-9]{1,2}[hms]){0,2}|[a-z]{2}-[a-z]{4}-[0-9]|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-f]{11,13}|[a-z0-9-]{1,4}(\\.[a-z0-9-]{1,4}){1,2}|Microsoft(\\.[a-zA-Z0-9]{1,5}){0,2}(/[a-zA-Z0-9]{0,4}){0,2}|20[0-9]{2}-[0-3][0-9]-[0-3][0-9](-preview)?|https://[a-z.@/?]{1,9}|/subscriptions/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/resource[gG]roups/[a-z]{0,3}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/[a-z]{0,3}|(env|file|http|sqlite|postgres):(//)?[a-zA-Z0-9_./]{1,9}") {
        fn agree<T: Leaf>(text: &str) {
            if T::parse(text).is_ok() {
                let pattern = regex::Regex::new(T::PATTERN.unwrap()).unwrap();
                assert!(pattern.is_match(text), "{} takes {text:?}, its pattern does not", T::NAME);
            }
        }
        agree::<Name>(&text);
        agree::<Region>(&text);
        agree::<AccountId>(&text);
        agree::<RoleArn>(&text);
        agree::<RoleName>(&text);
        agree::<CallTimeout>(&text);
        agree::<AnyDuration>(&text);
        agree::<PositiveDuration>(&text);
        agree::<DurationOrNever>(&text);
        agree::<HttpUrl>(&text);
        agree::<LedgerAddress>(&text);
        agree::<SecretRef>(&text);
        agree::<TenantName>(&text);
        agree::<SubscriptionId>(&text);
        agree::<ObjectId>(&text);
        agree::<ClientId>(&text);
        agree::<IdentityId>(&text);
        agree::<ManagementGroupName>(&text);
        agree::<HttpsUrl>(&text);
        agree::<AuthorityUrl>(&text);
        agree::<ResourceType>(&text);
        agree::<ApiVersion>(&text);
    }
}
