//! What is said about an AWS source that is wrong.

use insta::assert_snapshot;

use super::{errors, errors_in_aws, try_load};

/// The errors of each value of a key, one after the other.
#[track_caller]
fn each(key: &str, values: &[&str]) -> String {
    values.iter().map(|value| errors_in_aws(&format!("{key}: {value}"))).collect::<Vec<_>>().join("\n")
}

#[test]
fn regions() {
    let text = "\
sources:
  - { name: a, kind: aws, regions: eu-west-1 }
  - { name: b, kind: aws, regions: [all, eu-west-1a, EU, eu-west-1, eu-west-1], accounts: [{ id: '000000000001' }] }
  - { name: c, kind: aws, regions: [us-gov-west-1, eusc-de-east-1, ap-southeast-2], account: organization }
  - { name: d, kind: aws, regions: All, accounts: [{ id: '000000000002' }] }
  - { name: e, kind: aws, regions: [], accounts: [{ id: '000000000003' }] }
  - { name: f, kind: aws, regions: Frankfurt, accounts: [{ id: '000000000004' }] }
  - { name: g, kind: aws, regions: 1, accounts: [{ id: '000000000005' }] }
  - { name: h, kind: aws, regions: { eu: all }, accounts: [{ id: '000000000006' }] }
  - { name: i, kind: aws, regions: , accounts: [{ id: '000000000007' }] }
targets: [{ name: b, kind: local, path: c.db }]
";
    assert_snapshot!(errors(text), @r#"
    2:36: `sources.a.regions`: expected `all` or a list, found `eu-west-1`
      help: put it in brackets: `[eu-west-1]`
    3:37: `sources.b.regions[0]`: `all` stands in place of a list, not in one
      help: write `regions: all`, or take `all` out of the list
    3:42: `sources.b.regions[1]`: `eu-west-1a` is no AWS region
      help: a region looks like `eu-west-1`; an availability zone's letter does not belong to it
    3:54: `sources.b.regions[2]`: `EU` is no AWS region
      help: a region looks like `eu-west-1`; an availability zone's letter does not belong to it
    3:69: `sources.b.regions`: `eu-west-1` is listed twice
      help: remove one of the two
    4:85: unknown key `account` in `sources.c`
      help: did you mean `accounts`?
    5:36: `sources.d.regions`: expected `all` or a list, found `All`
      help: did you mean `all`?
    6:36: `sources.e.regions` is empty: expected at least one
    7:36: `sources.f.regions`: `Frankfurt` is no AWS region
      help: a region looks like `eu-west-1`; an availability zone's letter does not belong to it
    8:36: `sources.g.regions`: expected `all` or a list, found 1
      help: write `all`, or a list such as `[eu-west-1, eu-central-1]`
    9:36: `sources.h.regions`: expected `all` or a list, found a mapping
      help: write `all`, or a list such as `[eu-west-1, eu-central-1]`
    10:27: `sources.i.regions`: expected `all` or a list, found nothing
      help: leave the key out to get its default
    "#);
}

#[test]
fn accounts() {
    assert_snapshot!(each("accounts", &["organisation", "own", "'123456789012'", "123456789012", "{ id: '123456789012' }", "[]", "", "['123456789012', 1]"]), @r#"
    4:15: `sources.a.accounts`: expected `organization` or a list, found `organisation`
      help: did you mean `organization`?
    4:15: `sources.a.accounts`: expected `organization` or a list, found `own`
      help: write `organization`, or a list such as `[{ id: "123456789012" }]`, or leave the key out for the account of the credentials
    4:15: `sources.a.accounts`: expected `organization` or a list, found `123456789012`
      help: write `organization`, or a list such as `[{ id: "123456789012" }]`, or leave the key out for the account of the credentials
    4:15: `sources.a.accounts`: expected `organization` or a list, found 123456789012
      help: write `organization`, or a list such as `[{ id: "123456789012" }]`, or leave the key out for the account of the credentials
    4:15: `sources.a.accounts`: expected `organization` or a list, found a mapping
      help: write `organization`, or a list such as `[{ id: "123456789012" }]`, or leave the key out for the account of the credentials
    4:15: `sources.a.accounts` is empty: expected at least one
    4:5: `sources.a.accounts`: expected `organization` or a list, found nothing
      help: leave the key out if it has no value
    4:16: `sources.a.accounts[0]`: expected a mapping, found a text
      help: write each account as `{ id: "123456789012" }`
    4:32: `sources.a.accounts[1]`: expected a mapping, found 1
      help: write each account as `{ id: "123456789012" }`
    "#);
}

#[test]
fn account_ids() {
    let accounts = "\
accounts:
  - { id: 012345678901 }
  - { id: 123456789012 }
  - { id: '12345678901' }
  - { id: 1234-5678-9012 }
  - { id: [] }
  - { role_arn: arn:aws:iam::123456789012:role/x }
  - { id: '123456789013' }
  - { id: '123456789013', name: x, rolearn: x }";
    assert_snapshot!(errors_in_aws(accounts), @r#"
    5:15: `sources.a.accounts[0].id`: expected an account id of twelve digits in quotes, found 12345678901
      help: put all twelve digits in quotes: without them YAML takes the id for a number, and leading zeros are lost
    6:15: `sources.a.accounts[1].id`: expected an account id of twelve digits in quotes, found 123456789012
      help: put all twelve digits in quotes: without them YAML takes the id for a number, and leading zeros are lost
    7:15: `sources.a.accounts[2].id`: `12345678901` is no id of an AWS account
      help: an account id has twelve digits, leading zeros included
    8:15: `sources.a.accounts[3].id`: `1234-5678-9012` is no id of an AWS account
      help: write the digits alone: `"123456789012"`
    9:15: `sources.a.accounts[4].id`: expected an account id of twelve digits in quotes, found a list
    10:9: key `id` is missing in `sources.a.accounts[5]`
      help: `id`: Id of the account: twelve digits in quotes
    12:15: account 123456789013 is listed twice: the first in line 11
      help: remove one of the two: an account is read once
    12:31: unknown key `name` in `sources.a.accounts.x`
      help: `name` belongs in `lifecycle.rules[]` or `sources[]` or `targets[]`
    12:40: unknown key `rolearn` in `sources.a.accounts.x`
      help: did you mean `role_arn`?
    "#);
}

#[test]
fn an_account_is_read_by_one_source() {
    let text = "\
sources:
  - { name: a, kind: aws, regions: [eu-west-1] }
  - { name: b, kind: aws, accounts: organization, regions: [us-east-1] }
  - { name: c, kind: aws, accounts: [{ id: '123456789012' }, { id: '123456789013' }] }
  - { name: d, kind: aws, accounts: [{ id: '123456789013' }] }
  - { name: emulated, kind: aws, endpoint_url: http://127.0.0.1:5000 }
targets:
  - { name: cmdb, kind: local, path: cmdb.db }
";
    assert_snapshot!(errors(text), @r"
    3:37: sources `a` and `b` both read the account of the credentials
      help: read an account by one source, with all the `regions` that are wanted
    5:44: sources `c` and `d` both read account 123456789013
      help: read an account by one source, with all the `regions` that are wanted
    ");
}

#[test]
fn roles_of_accounts() {
    let accounts = "\
accounts:
  - { id: '000000000001', role_arn: Audit }
  - { id: '000000000002', role_arn: arn:aws:sts::000000000002:assumed-role/Audit/me }
  - { id: '000000000003', role_arn: arn:aws:iam::000000000003:user/Audit }
  - { id: '000000000004', role_arn: arn:aws:iam::000000000005:role/Audit }
  - { id: '000000000005', role_arn: arn:aws:iam::5:role/Audit }
  - { id: '000000000006', role_arn: arn:aws:iam:eu-west-1:000000000006:role/Audit }
  - { id: '000000000007', role_arn: arn:aws:iam::000000000007:role/ }
  - { id: '000000000008', role_arn: 8, external_id: hunter2 }
  - { id: '000000000009', role_arn: 'arn:aws-cn:iam::000000000009:role/a/b/Audit+=,.@-_', external_id: env:X }";
    assert_snapshot!(errors_in_aws(accounts), @r#"
    5:41: `sources.a.accounts[0].role_arn`: `Audit` is no ARN of an IAM role
      help: it looks like `arn:aws:iam::123456789012:role/DewpointReader`
    6:41: `sources.a.accounts[1].role_arn`: `arn:aws:sts::000000000002:assumed-role/Audit/me` is no ARN of an IAM role
      help: this is a session of a role: write the ARN of the role itself, `arn:aws:iam::123456789012:role/DewpointReader`
    7:41: `sources.a.accounts[2].role_arn`: `arn:aws:iam::000000000003:user/Audit` is no ARN of an IAM role
      help: it looks like `arn:aws:iam::123456789012:role/DewpointReader`
    8:41: the role `arn:aws:iam::000000000005:role/Audit` belongs to account 000000000005, not to 000000000004
      help: write the ARN of a role in account 000000000004, or mend the `id`
    9:41: `sources.a.accounts[4].role_arn`: `arn:aws:iam::5:role/Audit` is no ARN of an IAM role
      help: it looks like `arn:aws:iam::123456789012:role/DewpointReader`
    10:41: `sources.a.accounts[5].role_arn`: `arn:aws:iam:eu-west-1:000000000006:role/Audit` is no ARN of an IAM role
      help: it looks like `arn:aws:iam::123456789012:role/DewpointReader`
    11:41: `sources.a.accounts[6].role_arn`: `arn:aws:iam::000000000007:role/` is no ARN of an IAM role
      help: it looks like `arn:aws:iam::123456789012:role/DewpointReader`
    12:41: `sources.a.accounts[7].role_arn`: `8` is no ARN of an IAM role
      help: it looks like `arn:aws:iam::123456789012:role/DewpointReader`
    12:57: `sources.a.accounts[7].external_id`: a secret must not stand in the configuration
      help: write `env:NAME` for an environment variable or `file:PATH` for a file, and put the secret there
    "#);
}

#[test]
fn usual_roles() {
    assert_snapshot!(errors_in_aws("role_name: X\nexternal_id: env:X"), @r#"
    4:5: `role_name` does nothing without `accounts`: the account of the credentials is read without a role
      help: add `accounts: organization` or a list of accounts, or remove `role_name`
    5:5: `external_id` does nothing without `accounts`: the account of the credentials is read without a role
      help: add `accounts: organization` or a list of accounts, or remove `external_id`
    "#);
    assert_snapshot!(errors_in_aws("acounts: organization\nrole_name: X"), @r#"
    4:5: unknown key `acounts` in `sources.a`
      help: did you mean `accounts`?
    "#);
    let long = "x".repeat(65);
    assert_snapshot!(each("accounts: organization\nrole_name", &["''", "arn:aws:iam::123456789012:role/X", "a b", "a//b", "a/", &long, "[X]", "12"]), @r#"
    5:16: `sources.a.role_name`: `` is no name of an IAM role
      help: a name has 1 to 64 letters, digits and `_+=,.@-`; its path goes before it, as in `tools/DewpointReader`
    5:16: `sources.a.role_name`: expected the name of an IAM role, found the ARN `arn:aws:iam::123456789012:role/X`
      help: write the name alone; an ARN goes into the `role_arn` of an account in `accounts`
    5:16: `sources.a.role_name`: `a b` is no name of an IAM role
      help: a name has 1 to 64 letters, digits and `_+=,.@-`; its path goes before it, as in `tools/DewpointReader`
    5:16: `sources.a.role_name`: `a//b` is no name of an IAM role
      help: a name has 1 to 64 letters, digits and `_+=,.@-`; its path goes before it, as in `tools/DewpointReader`
    5:16: `sources.a.role_name`: `a/` is no name of an IAM role
      help: a name has 1 to 64 letters, digits and `_+=,.@-`; its path goes before it, as in `tools/DewpointReader`
    5:16: `sources.a.role_name`: `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…` is no name of an IAM role
      help: a name has 1 to 64 letters, digits and `_+=,.@-`; its path goes before it, as in `tools/DewpointReader`
    5:16: `sources.a.role_name`: expected the name of an IAM role, such as `DewpointReader`, found a list
    5:16: `sources.a.role_name`: expected the name of an IAM role, such as `DewpointReader`, found 12
      help: put it in quotes: `"12"`
    "#);
    assert_snapshot!(errors_in_aws("accounts: organization\nexternal_id: hunter2"), @r#"
    5:18: `sources.a.external_id`: a secret must not stand in the configuration
      help: write `env:NAME` for an environment variable or `file:PATH` for a file, and put the secret there
    "#);
    let path = |length: usize| {
        format!(
            "sources: [{{ name: a, kind: aws, accounts: organization, role_name: {}/x }}]\ntargets: [{{ name: b, kind: local, path: c }}]",
            "p".repeat(length)
        )
    };
    assert!(try_load(&path(510)).is_ok());
    assert!(try_load(&path(511)).is_err());
}

#[test]
fn times_and_budgets() {
    let keys = "\
timeout: 0s
rate:
  ec2: { requests_per_second: 0, burst: -1 }
  load_balancing: { requests_per_second: 1.5, burst: many }
  auto_scaling: 10
  elb: { burst: 1 }
  sts: { requests_per_hour: 1, burst: 1000001 }
  organizations:";
    assert_snapshot!(errors_in_aws(keys), @r#"
    4:14: `sources.a.timeout`: expected a duration from 1s to 1h, found `0s`
    6:35: `sources.a.rate.ec2.requests_per_second`: expected a whole number from 1 to 1000000, found 0
    6:45: `sources.a.rate.ec2.burst`: expected a whole number from 1 to 1000000, found -1
    7:46: `sources.a.rate.load_balancing.requests_per_second`: expected a whole number from 1 to 1000000, found 1.5
    7:58: `sources.a.rate.load_balancing.burst`: expected a whole number from 1 to 1000000, found `many`
    8:21: `sources.a.rate.auto_scaling`: expected a mapping, found 10
      help: for example `{ requests_per_second: 10, burst: 40 }`
    9:7: unknown key `elb` in `sources.a.rate`
      help: known here: `auto_scaling`, `ec2`, `load_balancing`, `organizations`, `sts`
    10:14: unknown key `requests_per_hour` in `sources.a.rate.sts`
      help: known here: `burst`, `requests_per_second`
    10:43: `sources.a.rate.sts.burst`: expected a whole number from 1 to 1000000, found 1000001
    11:7: `sources.a.rate.organizations`: expected a mapping, found nothing
      help: leave the key out to get its default
    "#);
    assert_snapshot!(each("timeout", &["3601s", "3", "never"]), @r#"
    4:14: `sources.a.timeout`: expected a duration from 1s to 1h, found `3601s`
    4:14: `sources.a.timeout`: duration `3` has no unit
      help: units are `s`, `m`, `h`, `d` and `w`: write `3m` for minutes, for example
    4:14: `sources.a.timeout`: `never` is not possible here: expected a duration such as `15m`
    "#);
    assert_snapshot!(errors_in_aws("burst: 3\nrole_arn: x"), @r#"
    4:5: unknown key `burst` in `sources.a`
      help: `burst` belongs in `sources[].rate.auto_scaling` or `sources[].rate.compute` or `sources[].rate.ec2` or `sources[].rate.load_balancing` or `sources[].rate.network` or `sources[].rate.organizations` or `sources[].rate.resource_graph` or `sources[].rate.resource_manager` or `sources[].rate.sts`
    5:5: unknown key `role_arn` in `sources.a`
      help: did you mean `role_name`?
    "#);
}
