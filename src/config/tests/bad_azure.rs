//! What is said about an Azure source that is wrong.

use insta::assert_snapshot;

use super::{errors, errors_in_azure, indented, try_load};

const TENANT: &str = "tenant: contoso.onmicrosoft.com\n";
const CLI: &str = "credential: { kind: azure_cli }\n";
const ID: &str = "11111111-2222-3333-4444-555555555555";

/// The errors of each value of a key beside a sound tenant and credential (line 6), one after the other.
#[track_caller]
fn each(key: &str, values: &[&str]) -> String {
    values.iter().map(|value| errors_in_azure(&format!("{TENANT}{CLI}{key}: {value}"))).collect::<Vec<_>>().join("\n")
}

/// A configuration with an Azure source with these keys.
fn azure(keys: &str) -> String {
    format!("sources:\n  - name: a\n    kind: azure\n{}targets: [{{ name: b, kind: local, path: c.db }}]\n", indented(keys))
}

#[test]
fn tenants() {
    let tenants = [
        "contoso",
        "common",
        "10.0.0.1",
        "contoso..com",
        "-contoso.com",
        "11111111222233334444555555555555",
        "'{11111111-2222-3333-4444-555555555555}'",
        "11111111-2222-3333-4444-55555555555g",
        "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555",
        "12",
        "[contoso.com]",
        "",
    ];
    let told: Vec<String> = tenants.iter().map(|tenant| errors_in_azure(&format!("tenant: {tenant}\n{CLI}"))).collect();
    assert_snapshot!(told.join("\n"), @r"
    4:13: `sources.a.tenant`: `contoso` is no tenant
      help: write its id, a GUID, or one of its domain names, such as `contoso.onmicrosoft.com`
    4:13: `sources.a.tenant`: `common` is no tenant
      help: write its id, a GUID, or one of its domain names, such as `contoso.onmicrosoft.com`
    4:13: `sources.a.tenant`: `10.0.0.1` is no tenant
      help: write its id, a GUID, or one of its domain names, such as `contoso.onmicrosoft.com`
    4:13: `sources.a.tenant`: `contoso..com` is no tenant
      help: write its id, a GUID, or one of its domain names, such as `contoso.onmicrosoft.com`
    4:13: `sources.a.tenant`: `-contoso.com` is no tenant
      help: write its id, a GUID, or one of its domain names, such as `contoso.onmicrosoft.com`
    4:13: `sources.a.tenant`: `11111111222233334444555555555555` is no tenant
      help: write its id, a GUID, or one of its domain names, such as `contoso.onmicrosoft.com`
    4:13: `sources.a.tenant`: `{11111111-2222-3333-4444-555555555555}` is no tenant
      help: write the id alone: `11111111-2222-3333-4444-555555555555`
    4:13: `sources.a.tenant`: `11111111-2222-3333-4444-55555555555g` is no tenant
      help: write its id, a GUID, or one of its domain names, such as `contoso.onmicrosoft.com`
    4:13: `sources.a.tenant`: `https://login.microsoftonline.com/11111111-2222-3333-4444-55…` is no tenant
      help: write the id alone: `11111111-2222-3333-4444-555555555555`
    4:13: `sources.a.tenant`: `12` is no tenant
      help: write its id, a GUID, or one of its domain names, such as `contoso.onmicrosoft.com`
    4:13: `sources.a.tenant`: expected the id of a tenant, or a domain name such as `contoso.onmicrosoft.com`, found a list
    4:5: `sources.a.tenant`: expected the id of a tenant, or a domain name such as `contoso.onmicrosoft.com`, found nothing
    ");
    assert_snapshot!(errors_in_azure(""), @r"
    2:5: key `credential` is missing in `sources.a`
      help: `credential`: As whom Azure is asked
    2:5: key `tenant` is missing in `sources.a`
      help: `tenant`: The tenant that the subscriptions belong to: its id, or one of its domain names
    ");
    assert_snapshot!(errors_in_azure(&format!("tenants: contoso.com\n{CLI}")), @r"
    4:5: unknown key `tenants` in `sources.a`
      help: did you mean `tenant`?
    ");
}

#[test]
fn credentials() {
    let credentials = [
        "{}",
        "{ kind: secret, client_secret: hunter2 }",
        "{ client_secret: hunter2 }",
        "{ kind: client_secret }",
        "{ kind: client_secret, client_id: hunter2, client_secret: 11111111-2222-3333-4444-555555555555 }",
        "{ kind: client_secret, client_id: $AZURE_CLIENT_ID, client_secret: $HUNTER2 }",
        "{ kind: client_secret, clientid: hunter2, client_secret: env:S }",
        "{ kind: client_certificate, client_id: 'env:', certificate: ./hunter2.pem }",
        "{ kind: workload_identity, token_file: ~/token }",
        "{ kind: managed_identity, object_id: name, resource_id: /subscriptions/x/dewpoint }",
        "{ kind: managed_identity, client_id: 12 }",
        "azure_cli",
        "hunter2",
        "[hunter2]",
        "",
    ];
    let told: Vec<String> = credentials.iter().map(|credential| errors_in_azure(&format!("{TENANT}credential: {credential}"))).collect();
    assert_snapshot!(told.join("\n"), @r"
    5:17: key `kind` is missing in `sources.a.credential`: expected `client_secret`, `client_certificate`, `workload_identity`, `managed_identity` or `azure_cli`
      help: add `kind: client_secret`, for example
    5:25: `sources.a.credential.kind`: expected `client_secret`, `client_certificate`, `workload_identity`, `managed_identity` or `azure_cli`, found `secret`
    5:17: key `kind` is missing in `sources.a.credential`: expected `client_secret`, `client_certificate`, `workload_identity`, `managed_identity` or `azure_cli`
      help: add `kind: client_secret`, for example
    5:17: key `client_id` is missing in `sources.a.credential`
      help: `client_id`: Id of the application, or a reference to it: `env:NAME` or `file:PATH`
    5:17: key `client_secret` is missing in `sources.a.credential`
      help: `client_secret`: Value of the secret, as a reference: `env:NAME` or `file:PATH`
    5:51: `sources.a.credential.client_id`: this is no client id
      help: it is a GUID, such as `11111111-2222-3333-4444-555555555555`, or a reference to one: `env:NAME` or `file:PATH`
    5:75: `sources.a.credential.client_secret`: a secret must not stand in the configuration
      help: write `env:NAME` for an environment variable or `file:PATH` for a file, and put the secret there
    5:51: `sources.a.credential.client_id`: variables are not expanded
      help: write `env:NAME`
    5:84: `sources.a.credential.client_secret`: a secret must not stand in the configuration
      help: variables are not expanded: write `env:NAME`
    5:40: unknown key `clientid` in `sources.a.credential`
      help: did you mean `client_id`?
    5:56: `sources.a.credential.client_id`: no name of an environment variable follows `env:`
      help: a name has letters, digits and `_`, for example `env:LEDGER_PASSWORD`
    5:77: `sources.a.credential.certificate`: a secret must not stand in the configuration
      help: write `env:NAME` for an environment variable or `file:PATH` for a file, and put the secret there
    5:56: `sources.a.credential.token_file`: `~` is not expanded, found `~/token`
      help: write an absolute path, or one relative to this file's folder
    5:54: `sources.a.credential.object_id`: `name` is no object id
      help: it is a GUID, such as `11111111-2222-3333-4444-555555555555`
    5:60: `sources.a.credential`: `object_id` and `resource_id` do not go together
      help: keep one of them: each names an identity by itself
    5:73: `sources.a.credential.resource_id`: `/subscriptions/x/dewpoint` is no resource id of a user-assigned identity
      help: it looks like `/subscriptions/ID/resourceGroups/GROUP/providers/Microsoft.ManagedIdentity/userAssignedIdentities/NAME`
    5:54: `sources.a.credential.client_id`: this is no client id
      help: it is a GUID, such as `11111111-2222-3333-4444-555555555555`, or a reference to one: `env:NAME` or `file:PATH`
    5:17: `sources.a.credential`: expected a mapping, found a text
      help: for example `{ kind: client_secret, client_id: env:AZURE_CLIENT_ID, client_secret: env:AZURE_CLIENT_SECRET }`
    5:17: `sources.a.credential`: expected a mapping, found a text
      help: for example `{ kind: client_secret, client_id: env:AZURE_CLIENT_ID, client_secret: env:AZURE_CLIENT_SECRET }`
    5:17: `sources.a.credential`: expected a mapping, found a list
      help: for example `{ kind: client_secret, client_id: env:AZURE_CLIENT_ID, client_secret: env:AZURE_CLIENT_SECRET }`
    5:5: `sources.a.credential`: expected a mapping, found nothing
    ");
    for credential in credentials {
        let errors = try_load(&azure(&format!("{TENANT}credential: {credential}"))).unwrap_err();
        let told = format!("{} {} {errors:?}", errors.render(false), errors.render(true));
        assert!(!told.to_lowercase().contains("hunter2"), "{credential}: {told}");
    }
}

/// A key of one kind of credential under another: the kind is named that it goes with, and what may be a secret is not shown.
#[test]
fn keys_of_another_credential() {
    let credentials = [
        "{ kind: azure_cli, client_secret: hunter2 }",
        "{ kind: azure_cli, certificate: hunter2, client_id: hunter2 }",
        "{ kind: workload_identity, object_id: x, client_secret: hunter2 }",
        "{ kind: managed_identity, token_file: x }",
        "{ kind: client_secret, client_id: env:I, client_secret: env:S, resource_id: x, certificate: hunter2 }",
        "{ kind: client_certificate, client_id: env:I, certificate: env:S, client_secret: hunter2, password: hunter2 }",
    ];
    let told: Vec<String> = credentials.iter().map(|credential| errors_in_azure(&format!("{TENANT}credential: {credential}"))).collect();
    assert_snapshot!(told.join("\n"), @r"
    5:36: unknown key `client_secret` in `sources.a.credential`
      help: `client_secret` goes with `kind: client_secret`
    5:36: unknown key `certificate` in `sources.a.credential`
      help: `certificate` goes with `kind: client_certificate`
    5:58: unknown key `client_id` in `sources.a.credential`
      help: `client_id` goes with `kind: client_secret` or `kind: client_certificate` or `kind: workload_identity` or `kind: managed_identity`
    5:44: unknown key `object_id` in `sources.a.credential`
      help: `object_id` goes with `kind: managed_identity`
    5:58: unknown key `client_secret` in `sources.a.credential`
      help: `client_secret` goes with `kind: client_secret`
    5:43: unknown key `token_file` in `sources.a.credential`
      help: `token_file` goes with `kind: workload_identity`
    5:80: unknown key `resource_id` in `sources.a.credential`
      help: `resource_id` goes with `kind: managed_identity`
    5:96: unknown key `certificate` in `sources.a.credential`
      help: `certificate` goes with `kind: client_certificate`
    5:83: unknown key `client_secret` in `sources.a.credential`
      help: `client_secret` goes with `kind: client_secret`
    5:107: unknown key `password` in `sources.a.credential`
      help: `password` belongs in `targets[].auth.basic` or `targets[].auth.oauth`
    ");
    for credential in credentials {
        let errors = try_load(&azure(&format!("{TENANT}credential: {credential}"))).unwrap_err();
        assert!(!errors.render(false).contains("hunter2"), "{credential}: {}", errors.render(false));
    }
}

#[test]
fn identities() {
    let resource = format!("/subscriptions/{ID}/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/dewpoint");
    let credential = |keys: &str| format!("{TENANT}credential: {{ kind: managed_identity, {keys} }}");
    assert_snapshot!(errors_in_azure(&credential(&format!("object_id: {ID}, client_id: {ID}, resource_id: {resource}"))), @r"
    5:92: `sources.a.credential`: `object_id` and `client_id` do not go together
      help: keep one of them: each names an identity by itself
    5:141: `sources.a.credential`: `object_id` and `resource_id` do not go together
      help: keep one of them: each names an identity by itself
    ");
    let bad = [
        resource.replace("userAssigned", "systemAssigned"),
        resource.replace(ID, "production"),
        resource.replace("/rg/", "//"),
        format!("{resource}/x"),
        resource.trim_start_matches('/').to_owned(),
    ];
    for id in bad {
        let told = errors_in_azure(&credential(&format!("resource_id: {id}")));
        assert!(told.contains("is no resource id of a user-assigned identity"), "{told}");
    }
    for good in [&resource, &resource.to_lowercase(), &resource.to_uppercase()] {
        try_load(&azure(&credential(&format!("resource_id: {good}")))).map_err(|errors| errors.render(false)).unwrap();
    }
}

#[test]
fn subscriptions() {
    let values = [
        "All",
        "production",
        "11111111-2222-3333-4444-555555555555",
        "[]",
        "[all, Production, /subscriptions/11111111-2222-3333-4444-555555555555, 7]",
        "[11111111-2222-3333-4444-55555555555A, 11111111-2222-3333-4444-55555555555a]",
        "{ management_group: /providers/Microsoft.Management/managementGroups/prod }",
        "{ management_group: 'Our production' }",
        "{ management_group: prod. }",
        "{ managment_group: prod }",
        "{ management_group: prod, subscriptions: all }",
        "{}",
        "7",
        "",
    ];
    assert_snapshot!(each("subscriptions", &values), @r"
    6:20: `sources.a.subscriptions`: expected `all`, a list or a management group, found `All`
      help: did you mean `all`?
    6:20: `sources.a.subscriptions`: `production` is no id of a subscription
      help: it is a GUID, such as `11111111-2222-3333-4444-555555555555`, and not the subscription's name
    6:20: `sources.a.subscriptions`: expected `all`, a list or a management group, found `11111111-2222-3333-4444-555555555555`
      help: put it in brackets: `[11111111-2222-3333-4444-555555555555]`
    6:20: `sources.a.subscriptions` is empty: expected at least one
    6:21: `sources.a.subscriptions[0]`: `all` stands in place of a list, not in one
      help: write `subscriptions: all`, or take `all` out of the list
    6:26: `sources.a.subscriptions[1]`: `Production` is no id of a subscription
      help: it is a GUID, such as `11111111-2222-3333-4444-555555555555`, and not the subscription's name
    6:38: `sources.a.subscriptions[2]`: `/subscriptions/11111111-2222-3333-4444-555555555555` is no id of a subscription
      help: write the id alone: `11111111-2222-3333-4444-555555555555`
    6:91: `sources.a.subscriptions[3]`: `7` is no id of a subscription
      help: it is a GUID, such as `11111111-2222-3333-4444-555555555555`, and not the subscription's name
    6:59: subscription 11111111-2222-3333-4444-55555555555a is listed twice: the first in line 6
      help: remove one of the two: a subscription is read once
    6:40: `sources.a.subscriptions.management_group`: `/providers/Microsoft.Management/managementGroups/prod` is no name of a management group
      help: write the name alone: `prod`
    6:40: `sources.a.subscriptions.management_group`: `Our production` is no name of a management group
      help: write its id as the portal shows it, and not its display name: 1 to 90 letters, digits and `-_.()`
    6:40: `sources.a.subscriptions.management_group`: `prod.` is no name of a management group
      help: write its id as the portal shows it, and not its display name: 1 to 90 letters, digits and `-_.()`
    6:22: unknown key `managment_group` in `sources.a.subscriptions`
      help: did you mean `management_group`?
    6:46: unknown key `subscriptions` in `sources.a.subscriptions`
      help: `subscriptions` belongs in `sources[]`
    6:20: key `management_group` is missing in `sources.a.subscriptions`
      help: `management_group`: Name of the management group: the last part of its id
    6:20: `sources.a.subscriptions`: expected `all`, a list or a management group, found 7
      help: write `all`, a list such as `[11111111-2222-3333-4444-555555555555]`, or `{ management_group: NAME }`
    6:5: `sources.a.subscriptions`: expected `all`, a list or a management group, found nothing
      help: leave the key out to get its default
    ");
    let long = "x".repeat(90);
    for good in [&long, "a", "x)-y_z(", "11111111-2222-3333-4444-555555555555"] {
        try_load(&azure(&format!("{TENANT}{CLI}subscriptions: {{ management_group: {good} }}")))
            .map_err(|errors| errors.render(false))
            .unwrap();
    }
    assert!(try_load(&azure(&format!("{TENANT}{CLI}subscriptions: {{ management_group: {long}x }}"))).is_err());
}

#[test]
fn a_subscription_is_read_by_one_source() {
    let text = "\
sources:
  - { name: a, kind: azure, tenant: one.example, credential: { kind: azure_cli } }
  - { name: b, kind: azure, tenant: ONE.example, credential: { kind: managed_identity }, subscriptions: all }
  - { name: c, kind: azure, tenant: one.example, credential: { kind: azure_cli }, subscriptions: [11111111-2222-3333-4444-555555555555] }
  - { name: d, kind: azure, tenant: two.example, credential: { kind: azure_cli }, subscriptions: [11111111-2222-3333-4444-555555555556, 11111111-2222-3333-4444-555555555555] }
  - { name: e, kind: azure, tenant: two.example, credential: { kind: azure_cli }, subscriptions: { management_group: prod } }
  - { name: f, kind: azure, tenant: two.example, credential: { kind: azure_cli }, subscriptions: { management_group: PROD } }
  - { name: g, kind: azure, tenant: three.example, credential: { kind: azure_cli }, subscriptions: { management_group: prod } }
  - { name: h, kind: azure, tenant: two.example, credential: { kind: azure_cli } }
  - { name: i, kind: azure, tenant: one.example, credential: { kind: azure_cli }, cloud: china }
  - { name: j, kind: azure, tenant: one.example, credential: { kind: azure_cli }, endpoints: { resource_manager: 'https://127.0.0.1:4443' } }
  - { name: k, kind: azure, tenant: four.example, credential: { kind: azure_cli }, subscriptons: [11111111-2222-3333-4444-555555555555] }
  - { name: l, kind: azure, tenant: four.example, credential: { kind: azure_cli } }
targets:
  - { name: cmdb, kind: local, path: cmdb.db }
";
    assert_snapshot!(errors(text), @r"
    3:105: sources `a` and `b` both read tenant `one.example`, of which `b` reads all subscriptions
      help: read a subscription by one source: list the subscriptions of each, or name a management group that holds no other's
    4:98: sources `a` and `c` both read tenant `one.example`, of which `a` reads all subscriptions
      help: read a subscription by one source: list the subscriptions of each, or name a management group that holds no other's
    5:137: sources `c` and `d` both read subscription 11111111-2222-3333-4444-555555555555
      help: read a subscription by one source: list the subscriptions of each, or name a management group that holds no other's
    7:118: sources `e` and `f` both read what is below the management group `prod`
      help: read a subscription by one source: list the subscriptions of each, or name a management group that holds no other's
    9:13: sources `d` and `h` both read tenant `two.example`, of which `h` reads all subscriptions
      help: read a subscription by one source: list the subscriptions of each, or name a management group that holds no other's
    12:84: unknown key `subscriptons` in `sources.k`
      help: did you mean `subscriptions`?
    ");
}

#[test]
fn clouds_and_collectors() {
    assert_snapshot!(each("cloud", &["germany", "us_goverment", "AzureCloud", "1", ""]), @r"
    6:12: `sources.a.cloud`: expected `public`, `us_government` or `china`, found `germany`
      help: the cloud `germany` was closed in 2021, and Azure's regions in Germany are in `public`; what is in none of these has its addresses under `endpoints`
    6:12: `sources.a.cloud`: expected `public`, `us_government` or `china`, found `us_goverment`
      help: did you mean `us_government`?
    6:12: `sources.a.cloud`: expected `public`, `us_government` or `china`, found `AzureCloud`
      help: the cloud `germany` was closed in 2021, and Azure's regions in Germany are in `public`; what is in none of these has its addresses under `endpoints`
    6:12: `sources.a.cloud`: expected `public`, `us_government` or `china`, found 1
      help: the cloud `germany` was closed in 2021, and Azure's regions in Germany are in `public`; what is in none of these has its addresses under `endpoints`
    6:5: `sources.a.cloud`: expected `public`, `us_government` or `china`, found nothing
      help: leave the key out to get its default
    ");
    assert_snapshot!(each("collector", &["resource-graph", "graph", "[arm]"]), @r"
    6:16: `sources.a.collector`: expected `arm` or `resource_graph`, found `resource-graph`
      help: did you mean `resource_graph`?
    6:16: `sources.a.collector`: expected `arm` or `resource_graph`, found `graph`
    6:16: `sources.a.collector`: expected `arm` or `resource_graph`, found a list
    ");
}

#[test]
fn endpoints() {
    let values = [
        "{ authority: 'http://127.0.0.1:4443', resource_manager: 'http://127.0.0.1:4443', audience: 'http://x' }",
        "{ authority: 'https://login.microsoftonline.com/contoso.com' }",
        "{ authority: login.microsoftonline.com }",
        "{ resource_manager: 'https://me:hunter2@management.azure.com' }",
        "{ resource_manager: 'https://management.azure.com?token=hunter2' }",
        "{ resource_manager: 'http://x?token=hunter2' }",
        "{ resource_manger: 'https://x/hunter2' }",
        "{ audience: 'api://dewpoint' }",
        "{ audience: 7, ca_file: 'https://x/ca.pem' }",
        "{ management: 'https://x' }",
        "https://management.azure.com",
        "",
    ];
    assert_snapshot!(each("endpoints", &values), @r"
    6:29: `sources.a.endpoints.authority`: this is plain http: tokens would travel in the clear
      help: use https, for emulators too, with their authority's certificate as `ca_file`
    6:72: `sources.a.endpoints.resource_manager`: this is plain http: tokens would travel in the clear
      help: use https, for emulators too, with their authority's certificate as `ca_file`
    6:107: `sources.a.endpoints.audience`: this is plain http: tokens would travel in the clear
      help: use https, for emulators too, with their authority's certificate as `ca_file`
    6:29: `sources.a.endpoints.authority`: the address of an authority has no path
      help: for example `https://login.microsoftonline.com`; the tenant has a key of its own
    6:29: `sources.a.endpoints.authority`: expected a URL that begins with `https://`
      help: for example `https://login.microsoftonline.com`; the tenant has a key of its own
    6:36: `sources.a.endpoints.resource_manager`: a user name or password in a URL is refused
      help: remove everything between `://` and `@`; credentials have keys or the environment of their own
    6:36: `sources.a.endpoints.resource_manager`: expected a URL without `?` and `#`
    6:36: `sources.a.endpoints.resource_manager`: expected a URL without `?` and `#`
    6:18: unknown key `resource_manger` in `sources.a.endpoints`
      help: did you mean `resource_manager`?
    6:28: `sources.a.endpoints.audience`: expected a URL that begins with `https://`
      help: for example `https://management.azure.com`
    6:28: `sources.a.endpoints.audience`: expected a URL that begins with `https://`
      help: for example `https://management.azure.com`
    6:40: `sources.a.endpoints.ca_file`: expected the path of a file, found a URL
      help: write a path: absolute, or relative to this file's folder
    6:18: unknown key `management` in `sources.a.endpoints`
      help: known here: `audience`, `authority`, `ca_file`, `resource_manager`
    6:16: `sources.a.endpoints`: expected a mapping, found a text
      help: for example `{ resource_manager: https://management.local.azurestack.external }`
    6:5: `sources.a.endpoints`: expected a mapping, found nothing
      help: leave the key out to get its default
    ");
    for value in values {
        let errors = try_load(&azure(&format!("{TENANT}{CLI}endpoints: {value}"))).unwrap_err();
        assert!(!format!("{} {errors:?}", errors.render(false)).contains("hunter2"), "{value}: {}", errors.render(false));
    }
}

#[test]
fn versions_of_apis() {
    let versions = "\
api_versions:
  Microsoft.Compute/virtualMachines: 2024-07-01
  microsoft.compute/VirtualMachines: 2024-07-01
  Microsoft.Compute/disks: 2024-13-01
  Microsoft.Compute/skus: 20240701
  Microsoft.Compute/galleries: 2024-07-01
  Microsoft.Network/networkInterface: 2024-7-1
  Microsoft.Network/loadBalancers: 2024-07-01-beta
  Microsoft.Network/virtualNetworks: latest
  Microsoft.Network/publicIPAddresses: { version: 2024-07-01 }
  virtualMachines: 2024-07-01
  Microsoft.Compute: 2024-07-01
  Compute/virtualMachines: 2024-07-01
  /providers/Microsoft.Compute/virtualMachines: 2024-07-01
  Microsoft.Compute/virtualMachines/: 2024-07-01
  Microsoft.Network/networkInterfaces:";
    assert_snapshot!(errors_in_azure(&format!("{TENANT}{CLI}{versions}")), @r"
    8:7: `sources.a.api_versions`: `microsoft.compute/VirtualMachines` is there twice: the first in line 7
      help: remove one of the two
    9:32: `sources.a.api_versions.Microsoft.Compute/disks`: `2024-13-01` is no version of an API
      help: a version is a date, `2024-07-01`, or one with `-preview` behind it
    10:31: `sources.a.api_versions.Microsoft.Compute/skus`: `20240701` is no version of an API
      help: a version is a date, `2024-07-01`, or one with `-preview` behind it
    11:7: `sources.a.api_versions.Microsoft.Compute/galleries`: Dewpoint asks for nothing of the type `Microsoft.Compute/galleries`
      help: leave it out: versions are set for what is read, such as `Microsoft.Compute/virtualMachines`
    12:7: `sources.a.api_versions.Microsoft.Network/networkInterface`: Dewpoint asks for nothing of the type `Microsoft.Network/networkInterface`
      help: did you mean `Microsoft.Network/networkInterfaces`?
    12:43: `sources.a.api_versions.Microsoft.Network/networkInterface`: `2024-7-1` is no version of an API
      help: a version is a date, `2024-07-01`, or one with `-preview` behind it
    13:40: `sources.a.api_versions.Microsoft.Network/loadBalancers`: `2024-07-01-beta` is no version of an API
      help: a version is a date, `2024-07-01`, or one with `-preview` behind it
    14:42: `sources.a.api_versions.Microsoft.Network/virtualNetworks`: `latest` is no version of an API
      help: a version is a date, `2024-07-01`, or one with `-preview` behind it
    15:44: `sources.a.api_versions.Microsoft.Network/publicIPAddresses`: expected a version such as `2024-07-01`, found a mapping
    16:7: `sources.a.api_versions.virtualMachines`: `virtualMachines` is no type of resource
      help: write it as ids have it, with its namespace: `Microsoft.Compute/virtualMachines`
    17:7: `sources.a.api_versions.Microsoft.Compute`: `Microsoft.Compute` is no type of resource
      help: write it as ids have it, with its namespace: `Microsoft.Compute/virtualMachines`
    18:7: `sources.a.api_versions.Compute/virtualMachines`: `Compute/virtualMachines` is no type of resource
      help: write it as ids have it, with its namespace: `Microsoft.Compute/virtualMachines`
    19:7: `sources.a.api_versions./providers/Microsoft.Compute/virtualMachines`: `/providers/Microsoft.Compute/virtualMachines` is no type of resource
      help: write it as ids have it, with its namespace: `Microsoft.Compute/virtualMachines`
    20:7: `sources.a.api_versions.Microsoft.Compute/virtualMachines/`: `Microsoft.Compute/virtualMachines/` is no type of resource
      help: write it as ids have it, with its namespace: `Microsoft.Compute/virtualMachines`
    21:7: `sources.a.api_versions.Microsoft.Network/networkInterfaces`: expected a version such as `2024-07-01`, found nothing
      help: leave the key out if it has no value
    ");
    let good = "api_versions: { Microsoft.Compute/virtualMachineScaleSets/virtualMachines: 2024-02-29, Microsoft.Network/loadBalancers: 2024-07-01-preview }";
    try_load(&azure(&format!("{TENANT}{CLI}{good}"))).map_err(|errors| errors.render(false)).unwrap();
    assert!(try_load(&azure(&format!("{TENANT}{CLI}{}", good.replace("2024-02", "2023-02")))).is_err());
}

#[test]
fn times_budgets_and_the_rest() {
    let keys = "\
timeout: 0s
proxy: http://proxy.example.com/path
rate:
  resource_manager: { requests_per_second: 0, burst: -1 }
  compute: { per_second: 10 }
  network: 10
  graph: { burst: 1 }
  resource_graph:";
    assert_snapshot!(errors_in_azure(&format!("{TENANT}{CLI}{keys}")), @r"
    6:14: `sources.a.timeout`: expected a duration from 1s to 1h, found `0s`
    7:12: `sources.a.proxy`: a proxy's address has no path
      help: for example `http://proxy.example.com:3128`; one with a password is a reference: `env:NAME` or `file:PATH`
    9:48: `sources.a.rate.resource_manager.requests_per_second`: expected a whole number from 1 to 1000000, found 0
    9:58: `sources.a.rate.resource_manager.burst`: expected a whole number from 1 to 1000000, found -1
    10:18: unknown key `per_second` in `sources.a.rate.compute`
      help: known here: `burst`, `requests_per_second`
    11:16: `sources.a.rate.network`: expected a mapping, found 10
      help: for example `{ requests_per_second: 10, burst: 40 }`
    12:7: unknown key `graph` in `sources.a.rate`
      help: known here: `compute`, `network`, `resource_graph`, `resource_manager`
    13:7: `sources.a.rate.resource_graph`: expected a mapping, found nothing
      help: leave the key out to get its default
    ");
    let keys = "rates: { compute: { burst: 1 } }\nregions: all\naccounts: organization\npath: x\nca_file: x.pem";
    assert_snapshot!(errors_in_azure(&format!("{TENANT}{CLI}{keys}")), @r"
    6:5: unknown key `rates` in `sources.a`
      help: did you mean `rate`?
    7:5: unknown key `regions` in `sources.a`
      help: `regions` goes with `kind: aws`
    8:5: unknown key `accounts` in `sources.a`
      help: `accounts` goes with `kind: aws`
    9:5: unknown key `path` in `sources.a`
      help: did you mean `rate`?
    10:5: unknown key `ca_file` in `sources.a`
      help: `ca_file` belongs in `sources[].endpoints` or `targets[]`
    ");
}
