//! Machines and scale sets in every state and form.

use dewpoint_azure_sim::world::{Orchestration, Power};
use dewpoint_azure_sim::{Effect, Fault};
use serde_json::json;

use super::*;

#[tokio::test]
async fn states_are_neutral_and_azures_words_stay_beside() {
    let powers = [
        (Power::Creating, "pending"),
        (Power::Starting, "pending"),
        (Power::Running, "running"),
        (Power::Stopping, "stopping"),
        (Power::Stopped, "stopped"),
        (Power::Deallocating, "stopping"),
        (Power::Deallocated, "stopped"),
        (Power::Unknown, "unknown"),
    ];
    let mut world = World::new();
    let mut group = world.subscription("prod").group("rg", "westeurope");
    let ids: Vec<String> = powers.iter().map(|(power, _)| group.vm(power.name()).power(*power).id()).collect();
    let asleep = group.vm("asleep").power(Power::Deallocated).edit(|vm| vm.statuses = vec!["HibernationState/Hibernated".to_owned()]).id();
    let silent = group.vm("silent").edit(|vm| vm.power = None).id();
    let made = group.vm("made").edit(|vm| (vm.power, vm.provisioning) = (None, "Creating".to_owned())).id();
    let failed = group.vm("failed").edit(|vm| vm.provisioning = "Failed".to_owned()).id();
    let leaving = group.vm("leaving").edit(|vm| vm.provisioning = "Deleting".to_owned()).id();
    let sim = start(world);
    let pull = setup(&sim).pull().await;
    assert_eq!(incomplete(&pull), Vec::<String>::new());
    let state = |id: &str| {
        let machine = resource(&pull, id);
        (machine.state.clone().unwrap_or_default(), machine.attributes.get("provider_state").cloned().unwrap_or_default())
    };
    for ((power, want), id) in powers.iter().zip(&ids) {
        assert_eq!(state(id), ((*want).to_owned(), json!(power.name())));
    }
    // That it hibernates is not in Resource Graph: to both collectors it is deallocated.
    assert_eq!(state(&asleep), ("stopped".to_owned(), json!("deallocated")));
    assert_eq!(state(&made), ("pending".to_owned(), json!("creating")));
    assert_eq!(state(&failed), ("running".to_owned(), json!("running")), "what the last change came to says nothing of the machine");
    assert_eq!(state(&leaving), ("stopping".to_owned(), json!("deleting")));
    assert_eq!(state(&silent), (String::new(), json!(null)), "nothing said is not stopped");
    assert!(pull.unread[&Key::azure(&silent).unwrap()].contains("state"));
    assert!(pull.unread.get(&Key::azure(&failed).unwrap()).is_none_or(|unread| !unread.contains("state")));
}

#[tokio::test]
async fn what_a_machine_buys_is_told() {
    let mut world = World::new();
    let mut group = world.subscription("prod").group("rg", "westeurope");
    let spot = group.vm("spot").spot().id();
    let low = group.vm("low").edit(|vm| vm.priority = Some("Low".to_owned())).id();
    let regular = group.vm("regular").edit(|vm| vm.priority = Some("Regular".to_owned())).id();
    let unsaid = group.vm("unsaid").id();
    let set = group.uniform_set("spots", 2).spot().id();
    let sim = start(world);
    let pull = setup(&sim).pull().await;
    let purchase = |id: &str| resource(&pull, id).attributes["purchase"].clone();
    assert_eq!([&spot, &low].map(|id| purchase(id)), ["spot", "spot"]);
    assert_eq!([&regular, &unsaid].map(|id| purchase(id)), ["on_demand", "on_demand"]);
    assert_eq!(purchase(&format!("{set}/virtualMachines/1")), "spot", "an instance buys what its set does");
}

#[tokio::test]
async fn a_machine_of_a_specialised_disk_is_a_machine() {
    let mut world = World::new();
    let mut group = world.subscription("prod").group("rg", "westeurope");
    let bare = group.vm("bare").edit(|vm| (vm.computer_name, vm.image) = (None, None)).windows().edit(|vm| vm.image = None).id();
    let image = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/galleries/x/images/y/versions/1.0.0";
    let own = group.vm("own").edit(|vm| (vm.image, vm.image_id) = (None, Some(image.to_owned()))).id();
    let sim = start(world);
    let pull = setup(&sim).pull().await;
    assert_eq!((incomplete(&pull), &pull.remarks), (Vec::new(), &Vec::new()));
    let bare = &resource(&pull, &bare).attributes;
    assert_eq!((&bare["os_family"], bare.get("image")), (&json!("windows"), None));
    assert_eq!(resource(&pull, &own).attributes["image"], image);
}

#[tokio::test]
async fn sets_of_each_kind_have_their_members() {
    let mut world = World::new();
    let mut group = world.subscription("prod").group("rg-App", "westeurope");
    let mut uniform = group.uniform_set("uniform", 4).tag("env", "prod").edit(|set| set.zones = vec!["1".to_owned(), "2".to_owned()]);
    uniform.add_instance();
    // Numbers are not used again.
    let uniform = uniform.edit(|set| {
        set.instances.remove(&0);
        set.instances.remove(&2);
        for instance in set.instances.values_mut() {
            instance.tags = None;
        }
    });
    let uniform = uniform.id();
    let unsaid = group.uniform_set("unsaid", 2).edit(|set| set.orchestration = Orchestration::Unsaid).id();
    let empty = group.uniform_set("empty", 0).id();
    let flexible = group.flexible_set("flexible").id();
    let machine = group.vm("member").member_of(&flexible.to_uppercase()).id();
    let sim = start(world);
    let pull = setup(&sim).pull().await;
    assert_eq!((incomplete(&pull), &pull.remarks), (Vec::new(), &Vec::new()));
    let members = |set: &str| {
        let key = Key::azure(set).unwrap();
        pull.relations.values().filter(|edge| edge.relation == RelationType::MemberOf && edge.to == key).count()
    };
    assert_eq!([&uniform, &unsaid, &empty, &flexible].map(|set| members(set)), [3, 2, 0, 1]);
    for number in [1, 3, 4] {
        let instance = resource(&pull, &format!("{uniform}/virtualMachines/{number}"));
        assert_eq!((instance.state.as_deref(), instance.tags.len()), (Some("running"), 0));
        assert_eq!(instance.attributes["private_addresses"].as_array().unwrap().len(), 1);
        assert_eq!(instance.name.as_deref(), Some(format!("uniform_{number}").as_str()));
    }
    edge(&pull, &machine, RelationType::MemberOf, &flexible);
    let facts = &resource(&pull, &uniform).attributes;
    assert_eq!((&facts["desired_size"], &facts["member_count"], &facts["orchestration"]), (&json!(3), &json!(3), &json!("Uniform")));
    assert_eq!(facts["zones"], json!(["westeurope-1", "westeurope-2"]));
    assert_eq!(resource(&pull, &unsaid).attributes["orchestration"], "Uniform");
    assert_eq!(resource(&pull, &flexible).attributes["orchestration"], "Flexible");
    let refused = sim.calls().iter().filter(|call| call.status >= 400).count();
    assert_eq!(refused, 0, "a flexible set is never asked for machines of its own");
}

#[tokio::test]
async fn a_set_that_goes_between_two_calls_has_no_members() {
    let mut world = World::new();
    let subscription = world.subscription("prod");
    let account = subscription.id.clone();
    let mut group = subscription.group("rg", "westeurope");
    group.uniform_set("gone", 2);
    group.uniform_set("stays", 2);
    let sim = start(world);
    let gone = Effect::Error { status: 404, code: "ResourceNotFound".to_owned(), message: "by script".to_owned() };
    sim.faults(vec![Fault::new(gone).contains("/virtualMachineScaleSets/gone/")]);
    let pull = setup(&sim).pull().await;
    assert_eq!((incomplete(&pull), all_of(&pull, Kind::Instance).len()), (Vec::new(), 2));
    // What a set's list answers otherwise is no absence.
    let other = Effect::Error { status: 404, code: "NotFound".to_owned(), message: "by script".to_owned() };
    sim.faults(vec![Fault::new(other).contains("/virtualMachineScaleSets/gone/")]);
    let pull = setup(&sim).pull().await;
    assert_eq!(outcome(&pull, &account, Kind::Instance), Outcome::Failed);
}

#[tokio::test]
async fn a_machine_is_known_by_its_list_where_its_interface_does_not_say() {
    let mut world = World::new();
    let mut group = world.subscription("prod").group("rg", "westeurope");
    let machine = group.vm("late");
    let (machine, nic) = (machine.id(), machine.nic_id());
    let sim = start(world);
    let body = json!({"value": [{"id": nic.to_uppercase(), "name": "late-nic", "location": "West Europe", "properties": {
        "ipConfigurations": [{"id": format!("{nic}/ipConfigurations/a"), "properties": {"privateIPAddress": "10.0.0.9"}}]}}]});
    let answer = dewpoint_azure_sim::Mishap::Answer { status: 200, headers: BTreeMap::new(), body: body.to_string() };
    sim.faults(vec![Fault::new(Effect::Mishap(answer)).operation("networkInterfaces.list")]);
    let pull = setup(&sim).pull().await;
    edge(&pull, &nic, RelationType::AttachedTo, &machine);
    assert_eq!(resource(&pull, &machine).attributes["private_addresses"], json!(["10.0.0.9"]));
    assert_eq!(resource(&pull, &nic).region.as_str(), "westeurope");
}

#[tokio::test]
async fn a_shared_disk_hangs_on_all_that_name_it() {
    let mut world = World::new();
    let mut group = world.subscription("prod").group("rg", "westeurope");
    let first = group.vm("first").data_disk(64).id();
    let second = group.vm("second").id();
    let subscription = world.subscription("prod");
    let shared = subscription.vms.values().find_map(|vm| vm.data_disks.first().cloned()).unwrap();
    let other = subscription.vms.values_mut().find(|vm| vm.base.id == second).unwrap();
    other.data_disks.push(shared.clone());
    let sim = start(world);
    // The disk names one machine alone, as the index does.
    for collector in [Collector::Arm, Collector::ResourceGraph] {
        let pull = setup(&sim).with(|config| config.collector = collector).pull().await;
        let machines = [&first, &second].map(|id| Key::azure(id).unwrap().as_str().to_owned());
        assert_eq!(targets(&pull, &shared.id, RelationType::AttachedTo), machines, "{collector:?}");
    }
}

#[tokio::test]
async fn what_hangs_on_instances_of_a_set_is_told_apart_by_name() {
    let mut world = World::new();
    world.subscription("prod").group("rg", "westeurope").uniform_set("workers", 2);
    let pull = setup(&start(world)).pull().await;
    let names: Vec<_> = all_of(&pull, Kind::NetworkInterface).iter().map(|nic| nic.name.clone().unwrap()).collect();
    assert_eq!(names, ["workers_0/nic-0", "workers_1/nic-0"]);
}
