//! What is said where, and what is refused.

use serde_json::{Value, json};

use super::{estate, synced};
use crate::support::inventory::instance_key;
use crate::support::{CONFIG, Inventory, World};

const LIVE: &str = "ledger: sqlite://dewpoint.db\nsources:\n  - { name: aws, kind: aws, regions: [eu-west-1] }\n  - { name: estate, kind: file, path: inventory.json }\ntargets:\n  - { name: cmdb, kind: local, path: cmdb.db }\n";

#[test]
fn a_time_is_taken_for_files_only() {
    let world = World::empty();
    world.write("dewpoint.yaml", LIVE);
    world.put(&estate());
    for command in ["sync", "plan"] {
        let ran = world.run(&[command, "--at", "2026-02-01T00:00:00Z"]);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""));
        assert!(ran.err.starts_with("error: `--at` needs all sources to be files, and `aws` is not\nhint: "), "{}", ran.err);
        assert!(!world.path("dewpoint.db").exists());
    }
    let ran = world.run(&["explain", "i-0000", "--at", "2026-02-01T00:00:00Z"]);
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (2, "error: `--at` needs all sources to be files, and `aws` is not\nhint: a cloud shows the present only: leave `--at` out\n")
    );
    let only_file = world.json(&["plan", "--at", "2026-02-01T00:00:00Z", "--source", "estate"], 0);
    assert_eq!(only_file["forecast"]["cmdb"], 22);
    let nonsense = world.run(&["sync", "--at", "yesterday"]);
    assert_eq!(nonsense.code, 2);
}

#[test]
fn of_a_slip_of_the_pen_the_nearest_word_is_told() {
    let world = World::new("");
    for (args, word) in [
        (&["list", "--kind", "instanse"][..], "'instance'"),
        (&["list", "--stage", "retierd"], "'retired'"),
        (&["coverage", "accept", "--kind", "volumes"], "'volume'"),
        (&["scopes", "retire", "--account", "1", "--kind", "subnets"], "'subnet'"),
    ] {
        let ran = world.run(args);
        assert!(ran.code == 2 && ran.err.contains("similar value") && ran.err.contains(word), "{args:?}: {}", ran.err);
    }
    world.write(
        "dewpoint.yaml",
        &format!("{CONFIG}lifecycle:\n  rules:\n    - {{ name: a, when: resource.region.lower() == \"x\", do: ignore }}\n"),
    );
    assert_eq!(world.json(&["validate"], 2)["errors"][0]["help"], "it is `x.lowerAscii()` here");
}

#[test]
fn an_ambiguous_name_is_refused_with_the_candidates() {
    let world = World::new("");
    world.put(
        &Inventory::new()
            .instance("i-1", json!({ "name": "web" }))
            .instance("i-2", json!({ "name": "web" }))
            .instance("i-3", json!({ "name": "db" })),
    );
    world.sync_at("2026-02-01T00:00:00Z", 0);
    for command in ["show", "explain", "history"] {
        let refused = world.json(&[command, "web"], 2);
        let keys: Vec<&str> = refused["errors"].as_array().unwrap().iter().map(|candidate| candidate["key"].as_str().unwrap()).collect();
        assert_eq!(keys, [instance_key("i-1"), instance_key("i-2")]);
        let text = world.run(&[command, "web"]);
        assert_eq!((text.code, text.out.as_str()), (2, ""));
        let want = format!(
            "error: `web` names 2 resources:\n  {} (instance)\n  {} (instance)\nhint: give one of the keys\n",
            instance_key("i-1"),
            instance_key("i-2")
        );
        assert_eq!(text.err, want);
        // A name, a native id or a key that only one has will do.
        for one in ["db", "i-3", &instance_key("i-3")] {
            assert_eq!(world.json(&[command, one], 0)["key"], instance_key("i-3"));
        }
    }
}

#[test]
fn standard_output_has_the_answer_and_nothing_else() {
    let world = World::new("");
    world.put(&estate());
    let commands: [&[&str]; 10] = [
        &["plan", "--at", "2026-02-01T00:00:00Z"],
        &["sync", "--at", "2026-02-01T00:00:00Z"],
        &["list"],
        &["show", "db"],
        &["ownership"],
        &["coverage"],
        &["scopes"],
        &["holds"],
        &["runs"],
        &["doctor"],
    ];
    for args in commands {
        let mut all = args.to_vec();
        all.extend(["--output", "json", "-vv", "--log-format", "json"]);
        let ran = world.run(&all);
        assert_eq!(ran.code, 0, "{args:?}\n{}", ran.err);
        ran.document();
        for line in ran.err.lines() {
            assert!(serde_json::from_str::<Value>(line).is_ok(), "{args:?}: not a log line: {line}");
        }
        assert!(!ran.out.contains('\u{1b}') && !ran.err.contains('\u{1b}'), "{args:?} is coloured without a terminal");
    }
}

#[test]
fn verbose_says_more_and_quiet_less() {
    let world = World::new("");
    world.put(&estate());
    let plain = world.run(&["plan", "--at", "2026-02-01T00:00:00Z"]);
    assert!(plain.out.contains("create … and 17 more: 17 instance (`-v` shows all)\n"), "{}", plain.out);
    assert_eq!(plain.err, "");
    let verbose = world.run(&["plan", "-v", "--at", "2026-02-01T00:00:00Z"]);
    assert!(!verbose.out.contains("`-v` shows all"), "{}", verbose.out);
    assert_eq!(verbose.out.matches("  create instance ").count(), 21);
    assert!(verbose.out.contains(&format!("    key: {}\n", instance_key("i-0007"))));
    assert!(verbose.err.contains("Listed aws 123456789012 eu-west-1 instance: complete, 21"), "{}", verbose.err);

    let quiet = world.run(&["sync", "-q", "--at", "2026-02-01T00:00:00Z"]);
    assert_eq!((quiet.code, quiet.err.as_str()), (0, ""));
    assert!(quiet.out.contains("target    cmdb: 22 create, 20 relate; 22 records\n"), "{}", quiet.out);
    assert_eq!(world.run(&["sync", "-q", "-v"]).code, 2);
}

#[test]
fn what_an_inventory_says_cannot_steer_the_terminal() {
    let world = World::new("");
    let name = "we\u{1b}[31mb\nsecond line";
    world.put(&Inventory::new().instance(
        "i-1",
        json!({ "name": name, "tags": { "owner": "a\u{7}b", "SUPPORT-GROUP\u{7}": "x" }, "attributes": { "note": name } }),
    ));
    for args in [
        &["plan", "--at", "2026-02-01T00:00:00Z"][..],
        &["sync", "--at", "2026-02-01T00:00:00Z"],
        &["list"],
        &["ownership"],
        &["show", "i-1"],
        &["explain", "i-1"],
        &["history", "i-1"],
    ] {
        let ran = world.run(args);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let text = format!("{}{}", ran.out, ran.err);
        assert!(!text.contains(['\u{1b}', '\u{7}']) && !text.contains("b\nsecond"), "{args:?}: {text}");
    }
    // Nothing is lost of it, though.
    assert_eq!(world.json(&["show", "i-1"], 0)["name"], name);
}

#[test]
fn a_plan_ends_with_what_is_pending_only_when_asked() {
    let (world, hold) = super::held();
    let at = ["--at", "2026-02-02T13:00:00Z"];
    let plan = |args: &[&str]| world.run(&[&["plan"], args, &at].concat()).code;
    assert_eq!(plan(&[]), 0);
    assert_eq!(plan(&["--exit-code"]), 4);
    world.json(&["holds", "approve", hold["id"].as_str().unwrap()], 0);
    assert_eq!(plan(&["--exit-code"]), 6);
    assert_eq!(plan(&[]), 0);
    world.sync_at(at[1], 0);
    assert_eq!(plan(&["--exit-code"]), 0);
}

#[test]
fn exit_ok_turns_a_code_into_success() {
    let world = World::new("exit_ok: [3]\n");
    world.put(&Inventory::new().scope("volume", "denied"));
    assert_eq!(world.sync_at("2026-02-01T00:00:00Z", 0)["outcome"], "partly");
}

#[test]
fn before_the_first_sync_readers_say_that_there_is_nothing() {
    let world = World::new("");
    for args in
        [&["list"][..], &["ownership"], &["holds"], &["runs"], &["coverage"], &["scopes"], &["export"], &["doctor"], &["ledger", "check"]]
    {
        let ran = world.run(args);
        // Doctor misses the inventory.
        assert_eq!(ran.code, i32::from(args == ["doctor"]), "{args:?}: {}", ran.err);
        assert!(!ran.out.is_empty());
    }
    assert_eq!(world.run(&["list"]).out, "nothing is known yet: `dewpoint sync` reads the sources\n");
    for args in [&["retry"][..], &["coverage", "accept"], &["ledger", "prune"], &["target", "rebind", "cmdb"]] {
        let ran = world.run(args);
        assert_eq!(ran.code, 1, "{args:?}");
        assert!(ran.err.contains("there is no such file; the first sync makes it"), "{}", ran.err);
    }
    assert!(!world.path("dewpoint.db").exists() && !world.path("cmdb.db").exists());
}

#[test]
fn a_command_line_that_makes_no_sense_is_usage() {
    let world = synced();
    for args in
        [&[][..], &["frobnicate"], &["sync", "--soruce", "estate"], &["show"], &["runs", "show", "nothing"], &["target", "pause", "nobody"]]
    {
        let ran = world.run(args);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args:?}: {}", ran.err);
        assert!(!ran.err.is_empty());
    }
    for args in [&["--help"][..], &["sync", "--help"], &["--version"]] {
        let ran = world.run(args);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{args:?}");
        assert!(!ran.out.is_empty());
    }
}

/// What the program says on a terminal, which `script` (util-linux) lends it.
fn on_a_terminal(world: &World, args: &str, no_color: &str) -> String {
    let mut command = std::process::Command::new("script");
    command.args(["-qec", &format!("'{}' {args}", env!("CARGO_BIN_EXE_dewpoint")), "/dev/null"]);
    command.current_dir(world.path("")).env("TERM", "xterm").env("NO_COLOR", no_color).env_remove("DEWPOINT_CONFIG").env_remove("RUST_LOG");
    String::from_utf8(command.stdin(std::process::Stdio::null()).output().unwrap().stdout).unwrap()
}

#[test]
fn a_terminal_gets_progress_and_colour() {
    const RED: &str = "\u{1b}[1;31m";
    let world = World::new("");
    world.put(&estate());
    let told = on_a_terminal(&world, "sync --at 2026-02-01T00:00:00Z", "");
    assert!(told.contains("pulling") && told.contains("/42 "), "{told:?}");
    assert!(told.contains("target    cmdb: 22 create, 20 relate; 22 records"), "{told:?}");
    let quiet = on_a_terminal(&world, "sync -q --at 2026-02-01T01:00:00Z", "");
    assert!(!quiet.contains("pulling") && !quiet.contains('\u{1b}'), "{quiet:?}");
    assert!(on_a_terminal(&world, "show nobody", "").contains(RED));
    assert!(!on_a_terminal(&world, "show nobody", "1").contains('\u{1b}'));
}
