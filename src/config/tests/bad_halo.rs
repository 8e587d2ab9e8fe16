//! What is said about a target of HaloITSM that is wrong.

use insta::assert_snapshot;

use super::{errors, try_load};

const TENANT: &str = "sources: [{ name: f, kind: file, path: inventory.json }]\ntargets:\n  - name: h\n    kind: haloitsm\n";
const URL: &str = "    url: https://example.haloitsm.com\n";
const AUTH: &str = "    auth: { oauth: { client_id: env:HALO_ID, client_secret: env:HALO_SECRET } }\n";

#[track_caller]
fn each(beside: &str, keys: &[&str]) -> String {
    keys.iter().map(|key| errors(&format!("{TENANT}{beside}    {key}\n"))).collect::<Vec<_>>().join("\n")
}

#[test]
fn addresses() {
    let urls =
        ["url: http://example.haloitsm.com", "url: https://example.haloitsm.com/api", "url: https://me:hunter2@example.haloitsm.com"];
    assert_snapshot!(each(AUTH, &urls), @r"
    6:10: `targets.h.url`: http://example.haloitsm.com is plain http to another machine: credentials would travel in the clear
      help: use https
    6:10: `targets.h.url`: `/api` is a page of the tenant, and not its address
      help: write the address alone, such as `https://example.haloitsm.com`: the API lies behind it at `/api`
    6:10: `targets.h.url`: a user name or password in a URL is refused
      help: remove everything between `://` and `@`; credentials have keys or the environment of their own
    ");
    let twice =
        format!("{TENANT}{URL}{AUTH}  - {{ name: again, kind: haloitsm, url: \"https://example.haloitsm.com/\",\n{} }}\n", AUTH.trim_end());
    assert_snapshot!(errors(&twice), @r"
    7:41: targets `h` and `again` are the same tenant
      help: one target writes all that a tenant gets
    ");
}

#[test]
fn credentials() {
    let auths = [
        "auth: {}",
        "auth: { basic: { username: bot, password: env:PW } }",
        "auth: { oauth: { client_id: env:ID, client_secret: hunter2 } }",
        "auth: { oauth: { client_id: env:ID } }",
        "auth: { oauth: { client_id: env:ID, client_secret: env:SECRET, scopes: 'all,edit' } }",
    ];
    assert_snapshot!(each(URL, &auths), @r#"
    6:11: key `oauth` is missing in `targets.h.auth`
      help: `oauth`: Tokens of an application with the method "Client ID and Secret (Services)"
    6:11: key `oauth` is missing in `targets.h.auth`
      help: `oauth`: Tokens of an application with the method "Client ID and Secret (Services)"
    6:13: unknown key `basic` in `targets.h.auth`
      help: `basic` belongs in `targets[].auth`
    6:56: `targets.h.auth.oauth.client_secret`: a secret must not stand in the configuration
      help: write `env:NAME` for an environment variable or `file:PATH` for a file, and put the secret there
    6:20: key `client_secret` is missing in `targets.h.auth.oauth`
      help: `client_secret`: Its secret, as a reference: `env:NAME` or `file:PATH`
    6:76: `targets.h.auth.oauth.scopes`: `all,edit` are no scopes
      help: write them with one blank between them, or `all`
    "#);
}

#[test]
fn names_and_numbers() {
    let keys = [
        "tenant: 'https://example'",
        "client: ''",
        "batch_size: 101",
        "rate: { requests_per_second: 5 }",
        "rate: { requests_per_minute: 0 }",
        "statuses: { retired: '' }",
        "heartbeat: off",
    ];
    assert_snapshot!(each(&format!("{URL}{AUTH}"), &keys), @r"
    7:13: `targets.h.tenant`: `https://example` is no name of a tenant
      help: it stands in Halo under Configuration > Integrations > Halo API, beside the addresses
    7:13: `targets.h.client`: the name is empty
      help: write it as Halo shows it, in up to 100 characters
    7:17: `targets.h.batch_size`: expected a whole number from 1 to 100, found 101
    7:13: unknown key `requests_per_second` in `targets.h.rate`
      help: `requests_per_second` belongs in `sources[].rate.auto_scaling` or `sources[].rate.compute` or `sources[].rate.ec2` or `sources[].rate.load_balancing` or `sources[].rate.network` or `sources[].rate.organizations` or `sources[].rate.resource_graph` or `sources[].rate.resource_manager` or `sources[].rate.sts` or `targets[].rate`
    7:34: `targets.h.rate.requests_per_minute`: expected a whole number from 1 to 100000, found 0
    7:26: `targets.h.statuses.retired`: the name is empty
      help: write it as Halo shows it, in up to 100 characters
    7:16: `targets.h.heartbeat`: `off` is not possible here: expected a duration such as `15m`
      help: or write `never`
    ");
}

#[test]
fn mappings() {
    let field = |name: &str, value: &str| format!("mapping: {{ instance: {{ fields: {{ {name}: {value} }} }} }}");
    let keys = [
        field("Dewpoint Key", "ci.name"),
        field("status", "ci.state"),
        field("cost center", "ci.cost_center"),
        field("Zones", "{ value: ci.zone, type: line }"),
        field("Zones", "ci.zonee"),
        "mapping: { instance: { fields: { Rack: ci.name, rack: ci.zone } } }".to_owned(),
        "mapping: { instance: { fields: { A: { value: ci.owner, type: technical_owner }, B: { value: ci.owner, type: technical_owner } } } }".to_owned(),
        "mapping: { machine: { class: Server } }".to_owned(),
        "authority: { Owner: owned }".to_owned(),
    ];
    assert_snapshot!(each(&format!("{URL}{AUTH}"), &keys.each_ref().map(String::as_str)), @r"
    7:38: `targets.h.mapping.instance.fields.Dewpoint Key`: field `Dewpoint Key` cannot be mapped
      help: Dewpoint fills it, or it is no field of Halo's
    7:38: `targets.h.mapping.instance.fields.status`: field `Status` cannot be mapped: it says where a resource stands in its life
      help: set the names of its statuses under `statuses`
    7:38: `targets.h.mapping.instance.fields.cost center`: Halo tells no fields apart by case
      help: write `Cost Center`
    7:69: `targets.h.mapping.instance.fields.Zones.type`: expected `text`, `lines`, `technical_owner` or `business_owner`, found `line`
      help: did you mean `lines`?
    7:48: `targets.h.mapping.instance.fields.Zones`: `ci` has no field `zonee`
      help: did you mean `zone`?
    7:53: `targets.h.mapping.instance.fields.rack`: Halo tells no fields apart by case
      help: keep one of them
    7:85: `targets.h.mapping.instance.fields.B`: another field is the asset's `technical_owner` already
      help: keep one of them
    7:16: `targets.h.mapping.machine`: there is no resource kind `machine`
      help: there are account, region, zone, resource_group, network, subnet, security_group, instance, scaling_group, network_interface, volume, public_address, load_balancer, pool, service
    7:18: `targets.h.authority`: nothing is written to an asset field `Owner`
      help: write asset fields, such as `Support Group`; one of your own has to be under `mapping`
    ");
    let good = field("Zones", "{ value: ci.zone, type: lines }");
    try_load(&format!("{TENANT}{URL}{AUTH}    {good}\n")).map_err(|errors| errors.render(false)).unwrap();
}
