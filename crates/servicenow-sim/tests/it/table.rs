//! The Table API.

use dewpoint_servicenow_sim::{INVALID_QUERY_FINDS_NOTHING, RowRule, Sim};
use serde_json::{Value, json};

use crate::support::{call, get, start};

fn filled(count: usize) -> Sim {
    let sim = start();
    sim.edit(|instance| {
        for number in 0..count {
            let status = if number % 2 == 0 { "1" } else { "7" };
            let values =
                [("name", format!("web-{number:03}")), ("object_id", format!("i-{number:03}")), ("install_status", status.to_owned())];
            let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
            instance.insert("cmdb_ci_vm_instance", &values);
        }
    });
    sim
}

fn names(sim: &Sim, query: &str) -> Vec<String> {
    let query = query.replace('^', "%5E").replace(' ', "%20").replace('>', "%3E").replace('<', "%3C");
    let answer = get(sim, &format!("/api/now/table/cmdb_ci?sysparm_query={query}%5EORDERBYname&sysparm_fields=name"));
    answer.result().as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn records_are_made_read_changed_and_deleted() {
    let sim = start();
    let body = json!({"name": "web", "object_id": "i-1", "colour": "blue", "sys_created_by": "me", "cpus": "two", "assigned_to": "Beth"});
    let made = call(&sim, "POST", "/api/now/table/cmdb_ci_vm_instance", &body);
    assert_eq!(made.status, 201);
    let sys_id = made.result()["sys_id"].as_str().unwrap().to_owned();
    assert!(made.header("location").ends_with(&sys_id));
    let row = made.result();
    assert_eq!((row["sys_class_name"].clone(), row["sys_created_by"].clone()), (json!("cmdb_ci_vm_instance"), json!("integration")));
    assert_eq!((row.get("colour"), row["cpus"].clone(), row["assigned_to"].clone()), (None, json!(""), json!("")));
    assert_eq!(row["install_status"], "1");

    let one = format!("/api/now/table/cmdb_ci/{sys_id}");
    assert_eq!(get(&sim, &one).result()["name"], "web");
    for (method, name) in [("PATCH", "web-2"), ("PUT", "web-3")] {
        let changed = call(&sim, method, &one, &json!({"name": name, "nonsense": "x"}));
        assert_eq!((changed.status, changed.result()["name"].clone()), (200, json!(name)));
        assert_eq!(changed.result()["object_id"], "i-1");
    }
    assert_eq!(get(&sim, &one).result()["sys_mod_count"], "2");
    assert_eq!(call(&sim, "DELETE", &one, &Value::Null).status, 204);
    let gone = get(&sim, &one);
    assert_eq!((gone.status, gone.json()["error"]["message"].clone()), (404, json!("No Record found")));
    assert_eq!(call(&sim, "PATCH", &one, &json!({"name": "x"})).status, 404);

    let many = call(&sim, "POST", "/api/now/table/cmdb_ci_vm_instance", &json!([{"name": "a"}, {"name": "b"}]));
    assert_eq!(many.result()["name"], "a");
    assert_eq!(sim.rows("cmdb_ci_vm_instance", "").len(), 1);
}

#[test]
fn what_is_not_there_is_refused() {
    let sim = start();
    let table = get(&sim, "/api/now/table/cmdb_ci_vm_instanse");
    assert_eq!((table.status, table.json()["error"]["message"].clone()), (400, json!("Invalid table cmdb_ci_vm_instanse")));
    assert_eq!(table.json()["error"]["detail"], Value::Null);
    let path = get(&sim, "/api/now/nonsense");
    assert_eq!(path.json()["error"]["message"], "Requested URI does not represent any resource");
    assert_eq!(call(&sim, "DELETE", "/api/now/table/cmdb_ci", &Value::Null).status, 405);
    assert_eq!(call(&sim, "POST", "/api/now/table/cmdb_ci", &json!("x")).status, 400);
    let headers = |name: &'static str, value: &str| vec![crate::support::basic("integration"), (name, value.to_owned())];
    assert_eq!(crate::support::send(&sim, "GET", "/api/now/table/cmdb_ci", &headers("Accept", "text/csv"), "").status, 406);
    assert_eq!(crate::support::send(&sim, "POST", "/api/now/table/cmdb_ci", &headers("Content-Type", "text/plain"), "{}").status, 415);
    sim.settings(|settings| settings.body_bytes_max = 10);
    assert_eq!(call(&sim, "POST", "/api/now/table/cmdb_ci", &json!({"name": "long enough"})).status, 413);
}

#[test]
fn queries_have_operators() {
    let sim = filled(6);
    let check = |query: &str, expected: &[usize]| {
        let expected: Vec<String> = expected.iter().map(|number| format!("web-{number:03}")).collect();
        assert_eq!(names(&sim, query), expected, "{query}");
    };
    check("name=web-001", &[1]);
    check("name=WEB-001", &[]);
    check("name!=web-001^install_status=7", &[3, 5]);
    check("nameLIKE-00^nameENDSWITH4", &[4]);
    check("nameSTARTSWITHweb-000", &[0]);
    check("nameINweb-001,web-003,x", &[1, 3]);
    check("nameNOT INweb-001,web-003,web-005", &[0, 2, 4]);
    check("name>web-003", &[4, 5]);
    check("name<=web-001", &[0, 1]);
    check("name=web-000^ORname=web-001^install_status=1", &[0]);
    check("name=web-000^NQname=web-001", &[0, 1]);
    check("short_descriptionISEMPTY^object_idISNOTEMPTY^name=web-002", &[2]);
    check("sys_class_nameINSTANCEOFcmdb_ci_vm_object^name=web-002", &[2]);
    check("install_status=7^ORDERBYDESCname", &[1, 3, 5].map(|number| 6 - number));
}

#[test]
fn an_invalid_condition_is_dropped() {
    let sim = filled(4);
    let target = "/api/now/table/cmdb_ci_vm_instance?sysparm_query=discovery_sauce=CloudBridge";
    assert_eq!(get(&sim, target).result().as_array().unwrap().len(), 4, "everything comes");
    assert_eq!(sim.calls()[0].dropped_terms, ["discovery_sauce=CloudBridge"]);
    sim.edit(|instance| instance.properties.insert(INVALID_QUERY_FINDS_NOTHING.to_owned(), "true".to_owned()));
    assert_eq!(get(&sim, target).result(), json!([]));
}

#[test]
fn paths_walk_through_references() {
    let sim = filled(2);
    sim.edit(|instance| {
        let person = instance.insert("sys_user", &[("user_name", "beth"), ("name", "Beth Anglin")]);
        let machine = instance.find("cmdb_ci_vm_instance", "name=web-001")[0].0.clone();
        instance.update(&machine, &[("assigned_to", &person)]);
    });
    let answer = get(
        &sim,
        "/api/now/table/cmdb_ci?sysparm_query=assigned_to.user_name=beth&sysparm_fields=name,assigned_to.name,assigned_to.manager.name,nonsense",
    );
    assert_eq!(answer.result(), json!([{"name": "web-001", "assigned_to.name": "Beth Anglin", "assigned_to.manager.name": ""}]));
}

#[test]
fn pages_have_links_and_a_count() {
    let sim = filled(5);
    let target = "/api/now/table/cmdb_ci_vm_instance?sysparm_query=ORDERBYsys_id&sysparm_limit=2&sysparm_fields=sys_id&sysparm_offset=2";
    let answer = get(&sim, target);
    assert_eq!(answer.header("x-total-count"), "5");
    let link = answer.header("link");
    for relation in ["first", "prev", "next", "last"] {
        assert!(link.contains(&format!("rel=\"{relation}\"")), "{link}");
    }
    let bare = get(&sim, &format!("{target}&sysparm_suppress_pagination_header=true&sysparm_no_count=true"));
    assert_eq!((bare.header("link"), bare.header("x-total-count")), ("", ""));
}

#[test]
fn keyset_pages_see_each_record_once_and_unordered_ones_do_not() {
    let sim = filled(40);
    let page = |query: &str, offset: usize| -> Vec<String> {
        let target = format!("/api/now/table/cmdb_ci?sysparm_query={query}&sysparm_limit=10&sysparm_offset={offset}&sysparm_fields=sys_id");
        get(&sim, &target).result().as_array().unwrap().iter().map(|row| row["sys_id"].as_str().unwrap().to_owned()).collect()
    };
    let mut seen = Vec::new();
    loop {
        let last = seen.last().cloned().unwrap_or_default();
        let rows = page(&format!("sys_id%3E{last}%5EORDERBYsys_id"), 0);
        if rows.is_empty() {
            break;
        }
        seen.extend(rows);
    }
    assert_eq!(seen.len(), 40);
    seen.dedup();
    assert_eq!(seen.len(), 40);
    let mut loose: Vec<String> = (0..4).flat_map(|number| page("", number * 10)).collect();
    loose.sort_unstable();
    loose.dedup();
    assert!(loose.len() < 40, "pages without an order overlap");
}

#[test]
fn the_limit_comes_before_the_access_rules() {
    let sim = filled(6);
    sim.edit(|instance| {
        let rule = RowRule { table: "cmdb_ci".to_owned(), query: "install_status=7".to_owned(), role: "cmdb_admin".to_owned() };
        instance.row_rules.push(rule);
    });
    let answer = get(&sim, "/api/now/table/cmdb_ci?sysparm_query=ORDERBYname&sysparm_limit=4");
    assert_eq!(answer.result().as_array().unwrap().len(), 2, "four were taken, and two of them hidden");
    assert_eq!(answer.header("x-total-count"), "6");
    let hidden = sim.rows("cmdb_ci", "install_status=7")[0].0.clone();
    assert_eq!(get(&sim, &format!("/api/now/table/cmdb_ci/{hidden}")).status, 404);
}

#[test]
fn nothing_found_depends_on_the_version() {
    let sim = start();
    for (path, status) in [("/api/now/v1/table/cmdb_ci", 404), ("/api/now/v2/table/cmdb_ci", 200), ("/api/now/table/cmdb_ci", 200)] {
        assert_eq!(get(&sim, path).status, status, "{path}");
    }
    assert_eq!(get(&sim, "/api/now/v3/table/cmdb_ci").status, 400);
}

#[test]
fn values_show_in_three_ways() {
    let sim = filled(1);
    let machine = sim.rows("cmdb_ci_vm_instance", "")[0].0.clone();
    let group = sim.edit(|instance| instance.insert("sys_user_group", &[("name", "Cloud")]));
    sim.edit(|instance| instance.update(&machine, &[("support_group", &group), ("last_discovered", "2026-06-01 10:00:00")]));
    let show = |mode: &str| {
        let fields = "install_status,support_group,assigned_to,last_discovered,sys_class_name";
        let target = format!("/api/now/table/cmdb_ci/{machine}?sysparm_fields={fields}&sysparm_display_value={mode}");
        get(&sim, &target).result()
    };
    let link = format!("{}/api/now/table/sys_user_group/{group}", sim.url());
    assert_eq!(
        show("false"),
        json!({"install_status": "1", "support_group": {"link": link, "value": group}, "assigned_to": "",
            "last_discovered": "2026-06-01 10:00:00", "sys_class_name": "cmdb_ci_vm_instance"})
    );
    assert_eq!(
        show("true"),
        json!({"install_status": "Installed", "support_group": {"display_value": "Cloud", "link": link}, "assigned_to": "",
            "last_discovered": "2026-06-01 02:00:00", "sys_class_name": "Virtual Machine Instance"})
    );
    assert_eq!(
        show("all&sysparm_exclude_reference_link=true"),
        json!({"install_status": {"display_value": "Installed", "value": "1"}, "support_group": {"display_value": "Cloud", "value": group},
            "assigned_to": {"display_value": "", "value": ""},
            "last_discovered": {"display_value": "2026-06-01 02:00:00", "value": "2026-06-01 10:00:00"},
            "sys_class_name": {"display_value": "Virtual Machine Instance", "value": "cmdb_ci_vm_instance"}})
    );
    let target = format!("/api/now/table/cmdb_ci/{machine}?sysparm_input_display_value=true");
    let body = json!({"install_status": "Retired", "support_group": "Cloud", "last_discovered": "2026-06-01 03:00:00"});
    call(&sim, "PATCH", &target, &body);
    let row = sim.rows("cmdb_ci", "")[0].1.clone();
    assert_eq!((row.get("install_status"), row.get("support_group"), row.get("last_discovered")), ("7", &*group, "2026-06-01 11:00:00"));
}
