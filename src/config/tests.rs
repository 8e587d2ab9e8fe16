#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failing test may panic"
)]

use super::*;

const MINIMAL: &str = "\
sources:
  - name: demo
    kind: file
    path: inventory.json
targets:
  - name: cmdb
    kind: local
    path: cmdb.db
";

fn try_load(text: &str) -> Result<Config, ConfigErrors> {
    load_str("dewpoint.yaml", text, Path::new("/etc/dewpoint"))
}

#[test]
fn scratch() {
    println!("{:#?}", try_load(MINIMAL).map_err(|e| e.render(false)));
    println!("{}", serde_json::to_string_pretty(&schema()).unwrap());
    let example = include_str!("../../config/example.yaml");
    println!("{:#?}", try_load(example).map_err(|e| e.render(false)));
    for bad in [
        "ledgr: sqlite://x.db\nsources: []\ntargets:\n  - name: CMDB\n    kind: local\n    pth: x\n    adopt: mtch\n    authority: { ownr: if_emty }\nguardrails: { max_retire_percent: 120, max_update_percent: 0, retire_after: 3h }\nexit_ok: [0, 3, 3]\nlifecycle:\n  defaults:\n    min_age: 15\n    purge_after: 0s\n",
        "a: b: c\n",
        "ledger: postgres://u:hunter2@h/d\nledger_password: hunter2\nsources: *x\n",
        "ledger: postgres://u:hunter2@h/d\nledger_password:\n  env: hunter2\nsources: &x foo\n",
    ] {
        let e = try_load(bad).unwrap_err();
        println!("{}\n{e}\n{}", e.render(false), serde_json::to_string(&e).unwrap());
    }
}
