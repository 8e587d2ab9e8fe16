//! What is said about a ServiceNow target that is wrong.

use insta::assert_snapshot;

use super::{errors, errors_in_servicenow, servicenow, try_load};

const URL: &str = "url: https://example.service-now.com\n";
const AUTH: &str = "auth: { api_key: env:KEY }\n";

/// The errors of each set of keys beside a sound address and key, one after the other.
#[track_caller]
fn each(keys: &[&str]) -> String {
    keys.iter().map(|key| errors_in_servicenow(&format!("{URL}{AUTH}{key}"))).collect::<Vec<_>>().join("\n")
}

#[test]
fn addresses() {
    let urls = [
        "http://example.service-now.com",
        "example.service-now.com",
        "https://me:hunter2@example.service-now.com",
        "https://example.service-now.com?token=hunter2",
        "https://example.service-now.com/nav_to.do",
        "ftp://example.service-now.com",
        "1",
    ];
    let told: Vec<String> = urls.iter().map(|url| errors_in_servicenow(&format!("url: {url}\n{AUTH}"))).collect();
    assert_snapshot!(told.join("\n"), @r"
    5:10: `targets.s.url`: http://example.service-now.com is plain http to another machine: credentials would travel in the clear
      help: use https
    5:10: `targets.s.url`: expected a URL that begins with `http://` or `https://`
      help: for example `https://example.service-now.com`
    5:10: `targets.s.url`: a user name or password in a URL is refused
      help: remove everything between `://` and `@`; credentials have keys or the environment of their own
    5:10: `targets.s.url`: expected a URL without `?` and `#`
    5:10: `targets.s.url`: `nav_to.do` is a page of the instance, and not its address
      help: for example `https://example.service-now.com`
    5:10: `targets.s.url`: expected a URL that begins with `http://` or `https://`
      help: for example `https://example.service-now.com`
    5:10: `targets.s.url`: expected a URL that begins with `http://` or `https://`
      help: for example `https://example.service-now.com`
    ");
    for good in ["http://127.0.0.1:8888", "http://localhost:1/", "https://snow.example/path"] {
        try_load(&servicenow(&format!("url: {good}\n{AUTH}"))).map_err(|errors| errors.render(false)).unwrap();
    }
}

#[test]
fn credentials() {
    let auths = [
        "{}",
        "{ basic: { username: bot, password: hunter2 } }",
        "{ basic: { username: bot } }",
        "{ basic: bot, api_key: env:KEY }",
        "{ api_key: hunter2 }",
        "{ apikey: hunter2 }",
        "{ oauth: { client_id: id, client_secret: $HUNTER2 } }",
        "{ oauth: { client_id: env:ID, client_secret: env:SECRET, username: bot } }",
        "{ oauth: { client_id: env:ID, client_secret: env:SECRET, pasword: hunter2, username: bot } }",
        "{ oauth: { client_id: 'env:', client_secret: env:SECRET, password: env:PW } }",
        "env:KEY",
        "[hunter2]",
        "",
    ];
    let told: Vec<String> = auths.iter().map(|auth| errors_in_servicenow(&format!("{URL}auth: {auth}"))).collect();
    assert_snapshot!(told.join("\n"), @r"
    6:11: `targets.s.auth`: expected one of `oauth`, `basic` and `api_key`
      help: for example `basic: { username: dewpoint, password: env:SNOW_PASSWORD }`
    6:47: `targets.s.auth.basic.password`: a secret must not stand in the configuration
      help: write `env:NAME` for an environment variable or `file:PATH` for a file, and put the secret there
    6:20: key `password` is missing in `targets.s.auth.basic`
      help: `password`: The password, as a reference: `env:NAME` or `file:PATH`
    6:20: `targets.s.auth.basic`: expected a mapping, found a text
      help: for example `{ username: dewpoint, password: env:SNOW_PASSWORD }`
    6:25: `targets.s.auth`: `basic` and `api_key` do not go together
      help: keep one of them
    6:22: `targets.s.auth.api_key`: a secret must not stand in the configuration
      help: write `env:NAME` for an environment variable or `file:PATH` for a file, and put the secret there
    6:13: unknown key `apikey` in `targets.s.auth`
      help: did you mean `api_key`?
    6:52: `targets.s.auth.oauth.client_secret`: a secret must not stand in the configuration
      help: variables are not expanded: write `env:NAME`
    6:68: `targets.s.auth.oauth`: `username` needs `password`
      help: add `password`, or leave both out to act as the application's own user
    6:68: unknown key `pasword` in `targets.s.auth.oauth`
      help: did you mean `password`?
    6:33: `targets.s.auth.oauth.client_id`: no name of an environment variable follows `env:`
      help: a name has letters, digits and `_`, for example `env:LEDGER_PASSWORD`
    6:68: `targets.s.auth.oauth`: `password` needs `username`
      help: add `username`, or leave both out to act as the application's own user
    6:11: `targets.s.auth`: expected a mapping, found a text
      help: for example `{ basic: { username: dewpoint, password: env:SNOW_PASSWORD } }`
    6:11: `targets.s.auth`: expected a mapping, found a list
      help: for example `{ basic: { username: dewpoint, password: env:SNOW_PASSWORD } }`
    6:5: `targets.s.auth`: expected a mapping, found nothing
    ");
    assert_snapshot!(errors_in_servicenow(URL), @r"
    3:5: key `auth` is missing in `targets.s`
      help: `auth`: As whom the instance is asked
    ");
    for auth in auths {
        let errors = try_load(&servicenow(&format!("{URL}auth: {auth}"))).unwrap_err();
        let told = format!("{} {} {errors:?}", errors.render(false), errors.render(true));
        assert!(!told.to_lowercase().contains("hunter2"), "{auth}: {told}");
    }
}

#[test]
fn mappings() {
    let keys = r#"mapping:
  instance:
    class: CMDB CI
    fields:
      asset_tag: 'ci.tgas["asset"]'
      short_description: >-
        ci.name +
        ci.nmae
      u_size: "ci.rules"
      tags: ci.name
      sys_id: ci.name
      Asset Tag: ci.name
      u_empty: ""
      u_number: 1
  intsance: { class: cmdb_ci_server }
  machine: {}
  pool: { feilds: {} }
  volume: cmdb_ci_storage_volume
authority: { asset_tag: initial, u_size: owned, suport_group: owned, size: owned, tags: report, name: mine }
relationships:
  protected_by: Depends on
  protectedby: "Uses::Used by"
  uses: "Uses::Used by"
  allows: "::x"
"#;
    assert_snapshot!(each(&[keys]), @r#"
    9:16: `targets.s.mapping.instance.class`: `CMDB CI` is no name of a class
      help: write the name of its table, such as `cmdb_ci_vm_instance`, and not its label
    11:26: `targets.s.mapping.instance.fields.asset_tag`: `ci` has no field `tgas`
      help: did you mean `tags`?
    14:16: `targets.s.mapping.instance.fields.short_description`: `ci` has no field `nmae`
      help: did you mean `name`?
    15:23: `targets.s.mapping.instance.fields.u_size`: `rules` is an attribute of security_group, and this is about instance
    16:11: `targets.s.mapping.instance.fields.tags`: tags are no column: all of them are written as key values
      help: a column can take one of them: `ci.tags["asset"]`
    17:11: `targets.s.mapping.instance.fields.sys_id`: column `sys_id` cannot be mapped
      help: Dewpoint and the engine fill it themselves
    18:11: `targets.s.mapping.instance.fields.Asset Tag`: `Asset Tag` is no name of a column
      help: write the column's name, such as `asset_tag`, and not its label
    19:20: `targets.s.mapping.instance.fields.u_empty`: the expression is empty
      help: write `"null"` for what is not to be written
    20:21: `targets.s.mapping.instance.fields.u_number`: expected an expression such as `ci.name`, found 1
      help: write `ci.name`, or `{ value: ci.service, reference: { table: cmdb_ci_service, by: [name] } }`
    21:7: `targets.s.mapping.intsance`: there is no resource kind `intsance`
      help: did you mean `instance`?
    22:7: `targets.s.mapping.machine`: there is no resource kind `machine`
      help: there are account, region, zone, resource_group, network, subnet, security_group, instance, scaling_group, network_interface, volume, public_address, load_balancer, pool, service
    23:15: unknown key `feilds` in `targets.s.mapping.pool`
      help: did you mean `fields`?
    24:15: `targets.s.mapping.volume`: expected a mapping, found a text
      help: for example `{ class: cmdb_ci_linux_server }`
    25:53: `targets.s.authority`: nothing is written to a column `suport_group`
      help: did you mean `support_group`?
    25:74: `targets.s.authority`: nothing is written to a column `size`
      help: did you mean `u_size`?
    25:107: `targets.s.authority.name`: expected `owned`, `initial`, `if_empty`, `report` or `transition`, found `mine`
    27:21: `targets.s.relationships.protected_by`: `Depends on` is no relationship type
      help: write both descriptors as the instance has them, the parent's first: `Depends on::Used by`
    28:7: `targets.s.relationships.protectedby`: there is no type of edge `protectedby`
      help: did you mean `protected_by`?
    29:7: `targets.s.relationships.uses`: there is no type of edge `uses`
      help: there are located_in, contains, member_of, protected_by, allows, attached_to, connected_to, routes_to, depends_on
    30:15: `targets.s.relationships.allows`: `::x` is no relationship type
      help: write both descriptors as the instance has them, the parent's first: `Depends on::Used by`
    "#);
}

#[test]
fn references() {
    let keys = r#"mapping:
  instance:
    fields:
      u_good: { value: ci.service, reference: { table: cmdb_ci_service, by: [number, name] } }
      u_name: { value: ci.service, reference: { table: cmdb_ci_service } }
      u_alone: { value: ci.service }
      u_value: { value: ci.srevice, reference: { table: cmdb_ci_service } }
      u_none: { reference: { table: cmdb_ci_service } }
      u_table: { value: ci.name, reference: { tabel: cmdb_ci_service, by: [] } }
      u_names: { value: ci.name, reference: { table: Business Service, by: [Name, name, name] } }
      u_text: { value: ci.name, reference: cmdb_ci_service }
      u_slip: { vaule: ci.name, refrence: { table: cmdb_ci_service } }
      u_empty: { value: "" }
      u_list: [ci.name]
"#;
    assert_snapshot!(each(&[keys]), @r#"
    13:32: `targets.s.mapping.instance.fields.u_value`: `ci` has no field `srevice`
      help: did you mean `service`?
    14:19: key `value` is missing in `targets.s.mapping.instance.fields.u_none`
      help: `value`: The value: a CEL expression over `ci`
    15:51: unknown key `tabel` in `targets.s.mapping.instance.fields.u_table.reference`
      help: did you mean `table`?
    15:79: `targets.s.mapping.instance.fields.u_table.reference.by` is empty: expected at least one
    16:58: `targets.s.mapping.instance.fields.u_names.reference.table`: `Business Service` is no name of a table
      help: write the table's name, such as `cmdb_ci_service`, and not its label
    16:81: `targets.s.mapping.instance.fields.u_names.reference.by[0]`: `Name` is no name of a column
      help: write the column's name, such as `name` or `number`, and not its label
    16:93: `targets.s.mapping.instance.fields.u_names.reference.by`: `name` is listed twice
      help: remove one of the two
    17:48: `targets.s.mapping.instance.fields.u_text.reference`: expected a mapping, found a text
      help: for example `{ table: cmdb_ci_service, by: [name] }`
    18:21: unknown key `vaule` in `targets.s.mapping.instance.fields.u_slip`
      help: did you mean `value`?
    18:37: unknown key `refrence` in `targets.s.mapping.instance.fields.u_slip`
      help: did you mean `reference`?
    19:29: `targets.s.mapping.instance.fields.u_empty.value`: the expression is empty
      help: write `"null"` for what is not to be written
    20:19: `targets.s.mapping.instance.fields.u_list`: expected an expression such as `ci.name`, found a list
      help: write `ci.name`, or `{ value: ci.service, reference: { table: cmdb_ci_service, by: [name] } }`
    "#);
}

#[test]
fn doubtful_expressions_are_warnings() {
    let text = servicenow(&format!("{URL}{AUTH}mapping: {{ instance: {{ fields: {{ u_asset: 'ci.tags[\"asset\"]' }} }} }}\n"));
    let config = try_load(&text).map_err(|errors| errors.render(false)).unwrap();
    let told: Vec<String> =
        config.warnings.iter().map(|warning| format!("{}:{}: {}", warning.line, warning.column, warning.text)).collect();
    assert_snapshot!(told.join("\n"), @r#"
    7:48: `targets.s.mapping.instance.fields.u_asset`: `ci.tags["asset"]` fails on every record without the tag "asset"
    "#);
}

#[test]
fn pace_and_the_rest() {
    let keys = [
        "rate: 10",
        "rate: { requests_per_second: 0 }",
        "rate: { requests_per_second: 1001, burst: 1 }",
        "batch_size: 501",
        "batch_size: 0",
        "timeout: 2h",
        "discovery_source: 'a^b'",
        "discovery_source: ''",
        "ca_file: https://example.com/ca.pem",
        "proxy: http://user:hunter2@proxy:3128",
        "proxy: proxy:3128",
        "proxy: http://proxy:3128/path",
        "statuses: { retired: { install_status: retired } }",
        "statuses: { gone: {} }",
        "life_cycle: 1",
        "path: cmdb.db",
        "heartbeat: off",
        "adopt: always",
    ];
    assert_snapshot!(each(&keys), @r"
    7:11: `targets.s.rate`: expected a mapping, found 10
      help: for example `{ requests_per_second: 10 }`
    7:34: `targets.s.rate.requests_per_second`: expected a whole number from 1 to 1000, found 0
    7:34: `targets.s.rate.requests_per_second`: expected a whole number from 1 to 1000, found 1001
    7:40: unknown key `burst` in `targets.s.rate`
      help: `burst` belongs in `sources[].rate.auto_scaling` or `sources[].rate.compute` or `sources[].rate.ec2` or `sources[].rate.load_balancing` or `sources[].rate.network` or `sources[].rate.organizations` or `sources[].rate.resource_graph` or `sources[].rate.resource_manager` or `sources[].rate.sts`
    7:17: `targets.s.batch_size`: expected a whole number from 1 to 500, found 501
    7:17: `targets.s.batch_size`: expected a whole number from 1 to 500, found 0
    7:14: `targets.s.timeout`: expected a duration from 1s to 1h, found `2h`
    7:23: `targets.s.discovery_source`: `a^b` cannot be a discovery source
      help: a discovery source has 1 to 100 characters, without blanks around it, `^` and `,`
    7:23: `targets.s.discovery_source`: `` cannot be a discovery source
      help: a discovery source has 1 to 100 characters, without blanks around it, `^` and `,`
    7:14: `targets.s.ca_file`: expected the path of a file, found a URL
      help: write a path: absolute, or relative to this file's folder
    7:12: `targets.s.proxy`: a user name or password in a URL is refused
      help: for example `http://proxy.example.com:3128`; one with a password is a reference: `env:NAME` or `file:PATH`
    7:12: `targets.s.proxy`: expected a URL that begins with `http://` or `https://`
      help: for example `http://proxy.example.com:3128`; one with a password is a reference: `env:NAME` or `file:PATH`
    7:12: `targets.s.proxy`: a proxy's address has no path
      help: for example `http://proxy.example.com:3128`; one with a password is a reference: `env:NAME` or `file:PATH`
    7:44: `targets.s.statuses.retired.install_status`: expected a whole number from 0 to 4294967295, found `retired`
    7:17: unknown key `gone` in `targets.s.statuses`
      help: known here: `active`, `inactive`, `retired`
    7:17: `targets.s.life_cycle`: expected `true` or `false`, found 1
    7:5: unknown key `path` in `targets.s`
      help: did you mean `rate`?
    7:16: `targets.s.heartbeat`: `off` is not possible here: expected a duration such as `15m`
      help: or write `never`
    7:12: `targets.s.adopt`: expected `never`, `match` or `contribute`, found `always`
    ");
}

#[test]
fn one_target_for_an_instance() {
    let text = "\
sources: [{ name: a, kind: file, path: b.json }]
targets:
  - { name: s, kind: servicenow, url: 'https://example.service-now.com', auth: { api_key: env:KEY } }
  - { name: t, kind: servicenow, url: 'https://EXAMPLE.service-now.com/', auth: { api_key: env:KEY } }
";
    assert_snapshot!(errors(text), @r"
    4:39: targets `s` and `t` are the same instance
      help: one target writes all that an instance gets
    ");
}
