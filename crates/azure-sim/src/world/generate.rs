//! Estates of any size.

use dewpoint_sim_kit::hash::{keyed, mix};
use serde::{Deserialize, Serialize};

use super::{
    Backend, Frontend, GroupBuilder, NatRule, Orchestration, PathRule, Power, Rule, Subscription, VmBuilder, World, build::address,
};

/// What a generated estate has. The same numbers make the same estate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spec {
    /// Subscriptions, `sub-0` and so on. Each has all kinds of resources, all forms of pools and rules, and scale sets of both modes.
    pub subscriptions: usize,
    /// Machines in all, instances of scale sets among them: of each subscription's share about a quarter is in uniform sets and a tenth in a flexible one.
    pub vms: usize,
    /// What is drawn by chance is drawn from this.
    pub seed: u64,
}

impl Default for Spec {
    fn default() -> Self {
        Self { subscriptions: 1, vms: 100, seed: 1 }
    }
}

const SIZES: [&str; 6] = ["Standard_D2s_v5", "Standard_D4s_v5", "Standard_E4s_v5", "Standard_B2ms", "Standard_D8ps_v5", "Standard_F4s_v2"];
const LOCATIONS: [&str; 3] = ["westeurope", "northeurope", "germanywestcentral"];

impl World {
    /// An estate with so many subscriptions and machines in all.
    pub fn generated(seed: u64, subscriptions: usize, vms: usize) -> Self {
        let mut world = Self::new();
        world.add(&Spec { subscriptions, vms, seed });
        world
    }

    /// Adds what the spec says.
    pub fn add(&mut self, spec: &Spec) {
        self.management_group("platform", None);
        self.management_group("workloads", Some("platform"));
        let count = spec.subscriptions.max(1);
        for number in 0..count {
            let share = spec.vms / count + usize::from(number < spec.vms % count);
            let subscription = self.subscription(&format!("sub-{number}"));
            subscription.management_group = (number % 2 == 0).then(|| "workloads".to_owned());
            subscription.tags.insert("cost-center".to_owned(), format!("{}", 1000 + number));
            let location = LOCATIONS.get(number % LOCATIONS.len()).copied().unwrap_or("westeurope");
            fill(subscription, number, location, share, mix(spec.seed ^ u64::try_from(number).unwrap_or(0)));
        }
    }
}

/// Draws by chance.
struct Dice(u64);

impl Dice {
    /// Whether `one_in` strikes for the `number`th thing.
    fn hits(&self, what: &str, number: usize, one_in: usize) -> bool {
        self.pick(what, number, one_in) == 0
    }

    fn pick(&self, what: &str, number: usize, of: usize) -> usize {
        let drawn = mix(keyed(self.0, what) ^ u64::try_from(number).unwrap_or(0));
        usize::try_from(drawn % u64::try_from(of.max(1)).unwrap_or(1)).unwrap_or(0)
    }
}

/// What machines hang on.
struct Place {
    nsg: String,
    asgs: [String; 2],
    pool: String,
    gateway_pool: String,
    flexible: String,
}

fn fill(subscription: &mut Subscription, number: usize, location: &str, vms: usize, seed: u64) {
    let dice = Dice(seed);
    let app_name = format!("rg-App-{number}");
    let place = app(&mut subscription.group(&app_name, location), number);
    let mut data = subscription.group(&format!("RG-DATA-{number}"), location);
    data.vnet("main", "10.0.0.0/16");
    data.tag("owner", "data");

    let uniform = vms / 4;
    let aks = uniform * 2 / 3;
    cluster(subscription, number, location, aks);
    let mut app = subscription.group(&app_name, location);
    let mut old = app.uniform_set("batch", u32::try_from(uniform - aks).unwrap_or(0)).edit(|set| {
        set.orchestration = Orchestration::Unsaid;
        set.network.pools.push(place.pool.replace("/web", "/batch"));
        set.network.application_groups.push(place.asgs[0].clone());
    });
    // Numbers are not used twice, so that there are gaps.
    old.add_instance();
    old.edit(|set| {
        set.instances.pop_first();
    });

    let flexible = vms / 10;
    let mut in_data = 0;
    for at in 0..vms - uniform {
        let in_app = at < flexible || at % 3 != 0;
        let mut group =
            if in_app { subscription.group(&app_name, location) } else { subscription.group(&format!("RG-DATA-{number}"), location) };
        // The two networks have the same addresses, and machines at the same ones.
        let host = if in_app { at } else { in_data };
        in_data += usize::from(!in_app);
        machine(&mut group, &dice, at, host, flexible, in_app.then_some(&place));
    }
    odd(subscription, &app_name, location);
}

/// The network, the rules and the balancers that the machines hang on.
fn app(group: &mut GroupBuilder<'_>, number: usize) -> Place {
    let asgs = [group.asg("asg-web"), group.asg("asg-db")];
    let subnet_nsg = group.nsg("nsg-subnet").allow(100, "Tcp", "22", "192.0.2.0/24").id();
    let nsg = group
        .nsg("nsg-web")
        .allow(100, "tcp", "443", "Internet")
        .rule(Rule {
            sources: vec!["10.0.0.0/8".to_owned(), "192.168.0.0/16".to_owned()],
            destination_ports: vec!["80".to_owned(), "8080-8090".to_owned()],
            ..Rule::allow_in("many", 110, "TCP", "", "")
        })
        .rule(Rule {
            sources: Vec::new(),
            destinations: Vec::new(),
            source_groups: vec![asgs[0].clone()],
            destination_groups: vec![asgs[1].clone()],
            ..Rule::allow_in("web-to-db", 120, "Tcp", "5432", "")
        })
        .rule(Rule {
            inbound: false,
            allow: false,
            destinations: vec!["Storage.WestEurope".to_owned()],
            description: Some("no storage".to_owned()),
            ..Rule::allow_in("no-storage", 200, "*", "*", "VirtualNetwork")
        })
        .id();
    let vnet = group.vnet("main", "10.0.0.0/16").subnet("front", &["10.250.0.0/24", "10.250.1.0/24"], Some(&subnet_nsg)).subnet(
        "gateway",
        &["10.251.0.0/24"],
        None,
    );
    let (vnet, gateway_subnet) = (vnet.id(), vnet.subnet_id("gateway"));
    let balancer = group.load_balancer("lb-app").pool("web", 443, 8443).pool("batch", 9000, 9000).pool("db", 5432, 5432);
    // The same addresses stand in the network of the other group.
    let balancer = balancer.address("db", &address("10.0", 1), &vnet).address("db", &address("10.0", 2), &vnet);
    let balancer = balancer.address("db", "10.99.0.9", &vnet).edit(|balancer| {
        if let Some(rule) = balancer.rules.last_mut() {
            rule.plural = true;
        }
    });
    let pool = balancer.pool_id("web");
    let fqdn = Backend::Fqdn(format!("backend-{number}.example.net"));
    let gateway = group
        .gateway("gw", &gateway_subnet)
        .pool("names", 80, vec![fqdn])
        .pool("addresses", 81, vec![Backend::Ip(address("10.0", 1))])
        .pool("machines", 82, Vec::new())
        .edit(|gateway| {
            if let Some(rule) = gateway.rules.first_mut() {
                let api = PathRule { name: "api".to_owned(), paths: vec!["/api/*".to_owned()], pool: "machines".to_owned() };
                rule.paths = vec![api];
            }
        });
    let gateway_pool = gateway.pool_id("machines");
    let flexible = group.flexible_set("flex").id();
    Place { nsg, asgs, pool, gateway_pool, flexible }
}

/// The node group of a Kubernetes cluster.
fn cluster(subscription: &mut Subscription, number: usize, location: &str, nodes: usize) {
    let managed_by = format!(
        "/subscriptions/{}/resourcegroups/rg-App-{number}/providers/Microsoft.ContainerService/managedClusters/aks-{number}",
        subscription.id
    );
    let mut group = subscription.group(&format!("MC_rg-App-{number}_aks-{number}_{location}"), location);
    group.managed_by(&managed_by);
    let pool = group.load_balancer("kubernetes").pool("kubernetes", 80, 30080).pool_id("kubernetes");
    let nsg = group.nsg("aks-agentpool-nsg").allow(500, "Tcp", "80", "Internet").id();
    let set = group.uniform_set("aks-nodes-12345678-vmss", u32::try_from(nodes).unwrap_or(0)).pool(&pool).nsg(&nsg);
    let set = set.tag("aks-managed-poolName", "nodes").tag("aks-managed-orchestrator", "Kubernetes:1.33.2");
    let set = set.instance_tag("aks-managed-poolName", "nodes").instance_tag("aks-managed-createOperationID", "3f2f");
    set.edit(|set| {
        for (at, instance) in set.instances.values_mut().enumerate() {
            instance.private_ip = address("10.201", at);
            if at % 7 == 0 {
                instance.public_ip = Some(address("20.50", at));
            }
            if at % 11 == 0 {
                instance.latest_model = false;
            }
        }
    });
}

fn machine(group: &mut GroupBuilder<'_>, dice: &Dice, at: usize, host: usize, flexible: usize, place: Option<&Place>) {
    let name = if at < flexible { format!("flex_{at:06x}") } else { format!("vm-{at}") };
    let public = group.public_address(&name);
    let mut vm = group
        .vm(&name)
        .ip(&address("10.0", host))
        .size(SIZES.get(dice.pick("size", at, SIZES.len())).copied().unwrap_or("Standard_D2s_v5"));
    vm = power(vm, dice, at);
    if dice.hits("interfaces", at, 15) {
        vm = vm.interface(&address("10.100", host));
    }
    if !dice.hits("untagged", at, 10) {
        vm =
            vm.tag("env", if dice.hits("prod", at, 3) { "prod" } else { "dev" }).tag("team", &format!("Team {}", dice.pick("team", at, 9)));
    }
    if dice.hits("spot", at, 8) {
        vm = vm.spot();
    }
    if dice.hits("windows", at, 5) {
        vm = vm.windows();
    }
    if dice.hits("zone", at, 2) {
        vm = vm.zone(["1", "2", "3"].get(dice.pick("which zone", at, 3)).copied().unwrap_or("1"));
    }
    for size in 0..dice.pick("disks", at, 3) {
        vm = vm.data_disk(if size == 0 { 128 } else { 1024 });
    }
    if dice.hits("public", at, 10) {
        vm = vm.public_ip(&public);
    }
    if let Some(place) = place {
        if at < flexible {
            vm = vm.member_of(&place.flexible);
        }
        if dice.hits("nsg", at, 2) {
            vm = vm.nsg(&place.nsg);
        }
        if let Some(asg) = place.asgs.get(dice.pick("asg", at, 6)) {
            vm = vm.asg(asg);
        }
        if dice.hits("pool", at, 6) {
            vm = vm.pool(&place.pool);
        }
        if dice.hits("gateway", at, 12) {
            vm.gateway_pool(&place.gateway_pool);
        }
    }
}

fn power<'a>(vm: VmBuilder<'a>, dice: &Dice, at: usize) -> VmBuilder<'a> {
    match dice.pick("power", at, 40) {
        0..4 => vm.power(Power::Deallocated),
        4 => vm.power(Power::Stopped),
        5 => vm.edit(|vm| vm.power = None),
        // The last operation failed, and the machine runs.
        6 => vm.edit(|vm| vm.provisioning = "Failed".to_owned()),
        // Made from a specialised disk, it has neither a profile nor a marketplace image.
        7 => vm.edit(|vm| {
            vm.computer_name = None;
            vm.image = None;
        }),
        8 => vm.power(Power::Deallocated).edit(|vm| vm.statuses = vec!["HibernationState/Hibernated".to_owned()]),
        _ => vm,
    }
}

/// What is in every estate and belongs to no machine.
fn odd(subscription: &mut Subscription, group: &str, location: &str) {
    let mut group = subscription.group(group, location);
    group.disk("left-over", 64, None);
    group.public_ip("reserved", None);
    let subnet = group.vnet("main", "10.0.0.0/16").subnet_id("front");
    let inside =
        Frontend { name: "inside".to_owned(), private_ip: Some("10.250.0.10".to_owned()), subnet: Some(subnet.clone()), public_ip: None };
    let forward = NatRule { name: "ssh".to_owned(), frontend: "inside".to_owned(), frontend_port: 2222, backend_port: 22 };
    group.load_balancer("lb-internal").edit(|balancer| {
        balancer.frontends.push(inside);
        balancer.nat_rules.push(forward);
    });
    let endpoint = group.nic("endpoint.nic", &subnet, Some("10.250.0.9".to_owned()));
    let private_endpoint = endpoint.replace("/networkInterfaces/endpoint.nic", "/privateEndpoints/endpoint");
    if let Some(nic) = subscription.nics.get_mut(&crate::ids::fold(&endpoint)) {
        nic.private_endpoint = Some(private_endpoint);
        nic.mac = None;
    }
}
