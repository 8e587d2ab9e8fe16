//! Whole outputs as people see them.

use serde_json::json;

use super::{held, synced};
use crate::support::inventory::{instance_key, key};
use crate::support::{Inventory, World};

/// Text with what differs from run to run made alike.
fn alike(world: &World, text: &str) -> String {
    let folder = world.path("").display().to_string();
    let mut text = text.replace(folder.trim_end_matches('/'), "DIR");
    for (pattern, with) in [(r"\d{8}T\d{6}Z-[0-9a-f]{8}", "RUN"), (r"in \d+\.\d s", "in N s"), (r"\b[0-9a-f]{32}\b", "DIGEST")] {
        text = regex::Regex::new(pattern).unwrap().replace_all(&text, with).into_owned();
    }
    text
}

#[test]
fn first_sync() {
    let world = World::new("");
    world.put(
        &Inventory::new()
            .group("sg-1", json!({ "name": "web" }))
            .instances(3)
            .instance("i-young", json!({ "created_at": "2026-01-31T23:55:00Z" }))
            .relation("protected_by", &instance_key("i-0000"), &key("security_group", "sg-1"))
            .scope("volume", "denied"),
    );
    let sync = world.run(&["sync", "--at", "2026-02-01T00:00:00Z"]);
    insta::assert_snapshot!(alike(&world, &sync.err), @r#"
    cmdb: 4 create, 1 relate; 4 records afterwards
      create instance i-0000: created 2026-01-01T00:00:00Z, older than min_age 15m
      create instance i-0001: created 2026-01-01T00:00:00Z, older than min_age 15m
      create instance i-0002: created 2026-01-01T00:00:00Z, older than min_age 15m
      create security_group web (sg-1): first seen 2026-02-01T00:00:00Z
      relate instance i-0000 protected_by security_group web (sg-1): both ends have a record here
    1 resource waits for its age
    "#);
    insta::assert_snapshot!(alike(&world, &sync.out), @r#"
    run RUN: partly in N s
    scopes    2 complete, 1 denied
    gap       aws 123456789012 eu-west-1 volume denied
    deferred  1 resource: 1 for age
    target    cmdb: 4 create, 1 relate; 4 records
    "#);
}

#[test]
fn a_change_a_hold_and_the_way_on() {
    let (world, _) = held();
    let sync = world.run(&["sync", "--at", "2026-02-02T13:00:00Z"]);
    insta::assert_snapshot!(alike(&world, &sync.out), @r#"
    run RUN: held in N s
    scopes    2 complete
    target    cmdb: nothing sent; 22 records
    held      DIGEST at cmdb: 12 of 22 live records would be retired within 24 h (54.5 %); limit: 20 % from 10 on; to go ahead: `dewpoint holds approve DIGEST`
    "#);
    let id = world.json(&["holds"], 0)["holds"][0]["id"].as_str().unwrap().to_owned();
    insta::assert_snapshot!(alike(&world, &world.run(&["holds", "show", &id]).out), @r#"
    held at cmdb: 12 retire (blast_radius)
      12 of 22 live records would be retired within 24 h (54.5 %); limit: 20 % from 10 on; to go ahead: `dewpoint holds approve DIGEST`
      retire instance i-0000: absent from 3 complete listings, last seen 2026-02-01T00:00:00Z, 24h or more ago
        stage: "missing" → "retired"
      retire instance i-0001: absent from 3 complete listings, last seen 2026-02-01T00:00:00Z, 24h or more ago
        stage: "missing" → "retired"
      retire instance i-0002: absent from 3 complete listings, last seen 2026-02-01T00:00:00Z, 24h or more ago
        stage: "missing" → "retired"
      retire instance i-0003: absent from 3 complete listings, last seen 2026-02-01T00:00:00Z, 24h or more ago
        stage: "missing" → "retired"
      retire instance i-0004: absent from 3 complete listings, last seen 2026-02-01T00:00:00Z, 24h or more ago
        stage: "missing" → "retired"
      retire … and 7 more: 7 instance (`-v` shows all)
    "#);
    insta::assert_snapshot!(alike(&world, &world.run(&["explain", "i-0000", "--at", "2026-02-02T13:00:00Z"]).out), @r#"
    instance i-0000
    aws:arn:aws:ec2:eu-west-1:123456789012:instance/i-0000

    stage        missing since 2026-02-01T12:00:00Z: absent from 3 complete listings, last seen 2026-02-01T00:00:00Z
    disposition  record since 2026-02-01T00:00:00Z: no rule decides
    next         retired when the next run's look-up says gone and no guardrail holds it
    held         at cmdb: 12 of 22 live records would be retired within 24 h (54.5 %); limit: 20 % from 10 on; to go ahead: `dewpoint holds approve DIGEST`

    rules
      matched      default  do record, confirm_missing 2, min_age 15m, min_dwell 1h, purge_after never, retire_after 24h

    timers
      confirm_missing  counts complete listings
      retire_after     due 2026-02-02T00:00:00Z

    evidence
      attributes     aws 123456789012 eu-west-1 instance: complete at 2026-02-02T13:00:00Z
      addresses      aws 123456789012 eu-west-1 instance: complete at 2026-02-02T13:00:00Z
      protected_by   aws 123456789012 eu-west-1 instance: complete at 2026-02-02T13:00:00Z
    "#);
}

#[test]
fn one_machine() {
    let world = synced();
    insta::assert_snapshot!(alike(&world, &world.run(&["show", "i-0000"]).out), @r#"
    key          aws:arn:aws:ec2:eu-west-1:123456789012:instance/i-0000
    kind         instance
    name         i-0000
    native id    i-0000
    account      123456789012
    region       eu-west-1
    state        running
    stage        active
    disposition  record
    created      2026-01-01T00:00:00Z
    first seen   2026-02-01T00:00:00Z
    last seen    2026-02-01T00:00:00Z

    attributes
      size  t3.micro

    relations
      protected_by  ->  security_group web (sg-1)

    targets
      cmdb  delivered, record 1, last written 2026-02-01T00:00:00Z
    "#);
    insta::assert_snapshot!(alike(&world, &world.run(&["history", "sg-1"]).out), @r#"
    security_group web (sg-1)
    aws:arn:aws:ec2:eu-west-1:123456789012:security-group/sg-1

    2026-02-01T00:00:00Z  observed: first seen aws 123456789012 eu-west-1 security_group (complete)
        kind: security_group
        name: web

    2026-02-01T00:00:00Z  delivered: target cmdb: create
    "#);
}

#[test]
fn doctor() {
    let world = synced();
    // A temporary folder may well lie on a file system that forgets; that warning is right, and not the same everywhere.
    let text = world.run(&["doctor"]).out;
    let text: String = text.split_inclusive('\n').filter(|line| !line.starts_with("warning") && !line.contains(" mend: ")).collect();
    insta::assert_snapshot!(alike(&world, &text), @r#"
    ok       ledger  the database file is sound                 ok
    ok       ledger  the ledger has a name and a sequence       as it should be
    ok       ledger  rows name known keys                       as it should be
    ok       ledger  delivered records have an id               as it should be
    ok       ledger  records have a class                       as it should be
    ok       ledger  revisions count up from nothing            as it should be
    ok       ledger  fields belong to records                   as it should be
    ok       ledger  no fence is newer than the last one drawn  as it should be
    ok       ledger  resources read back as they were written   as it should be
    ok       ledger  no run was cut off                         as it should be
    ok       estate  inventory file                             inventory.json: 22 resources, 20 relations, 2 receipts of which 2 complete, taken at 2026-02-01T00:00:00Z
    ok       cmdb    directory                                  DIR can be written
    ok       cmdb    file                                       DIR/cmdb.db is local CMDB DIGEST
    ok       cmdb    integrity                                  the database is sound
    ok       cmdb    writable                                   DIR/cmdb.db can be written
    "#);
}
