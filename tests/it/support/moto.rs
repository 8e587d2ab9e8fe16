//! A cloud on loopback: a moto server, boto3 to change it and to say what it holds, and a proxy that breaks chosen calls.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Ran, World};

/// The account that moto gives everyone who has assumed no role.
pub const ACCOUNT: &str = "123456789012";
pub const IRELAND: &str = "eu-west-1";
pub const VIRGINIA: &str = "us-east-1";

/// Longest wait for a server to say that it listens. A busy machine takes several seconds.
const START: Duration = Duration::from_secs(120);

/// Variables with which the SDK finds credentials, or a way around the proxy.
const AWS_VARIABLES: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ENDPOINT_URL",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

/// Access key, secret key, session token.
#[derive(Debug, Clone)]
pub struct Credentials(pub String, pub String, pub String);

/// An AWS of one test's own, with a folder to run Dewpoint in that knows it by the proxy's address.
pub struct Cloud {
    pub world: World,
    boto: RefCell<Boto>,
    /// Lines of the proxy's log that [`Cloud::calls`] has told.
    told: Cell<usize>,
    /// Scripts that the proxy was given.
    scripts: Cell<usize>,
    /// `None`: the environment has no credentials.
    pub credentials: Option<Credentials>,
    _proxy: Background,
    _moto: Background,
}

struct Boto {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    _process: Background,
}

/// A process that ends with its owner; with its owner's thread as well, should the test be killed.
struct Background(Child);

impl Background {
    /// What it says on standard error is read by the test, or shown.
    fn start(command: &mut Command, errors: Stdio) -> Self {
        let mut tied = Command::new("setpriv");
        tied.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => tied.env(name, value),
                None => tied.env_remove(name),
            };
        }
        Self(tied.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors).spawn().unwrap())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A variable that `tests/run.sh` exports.
fn needed(name: &str) -> PathBuf {
    std::env::var_os(name).unwrap_or_else(|| panic!("{name} is not set; run tests/run.sh")).into()
}

/// Reads the output to its end, in the background, and gives what follows `mark` in the first line that has it.
fn line_with(output: impl Read + Send + 'static, mark: &'static str) -> String {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut lines = String::new();
        let mut sender = Some(sender);
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if let Some((_, rest)) = line.split_once(mark) {
                if let Some(sender) = sender.take() {
                    let _ = sender.send(Ok(rest.trim().to_owned()));
                }
            } else if sender.is_some() {
                lines.push_str(&line);
            }
        }
        if let Some(sender) = sender {
            let _ = sender.send(Err(lines));
        }
    });
    match receiver.recv_timeout(START) {
        Ok(Ok(rest)) => rest,
        Ok(Err(lines)) => panic!("it ended without `{mark}`: {lines}"),
        Err(error) => panic!("no `{mark}` after {START:?}: {error}"),
    }
}

impl Cloud {
    /// Starts it. `lifecycle` are keys of `lifecycle.defaults`.
    pub fn start(regions: &[&str], lifecycle: &str) -> Self {
        let world = World::empty();
        let python = needed("DEWPOINT_TEST_PYTHON");
        let tool = |name: &str| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/tools").join(name);

        let mut moto =
            Background::start(Command::new(needed("DEWPOINT_TEST_MOTO_SERVER")).args(["-H", "127.0.0.1", "-p", "0"]), Stdio::piped());
        // The server listens before it says so: a connection made now is served.
        let address = line_with(moto.0.stderr.take().unwrap(), "Running on ");

        let mut boto = Background::start(Command::new(&python).arg(tool("boto.py")).args(["--endpoint", &address]), Stdio::inherit());
        let input = boto.0.stdin.take().unwrap();
        let output = BufReader::new(boto.0.stdout.take().unwrap());
        let boto = RefCell::new(Boto { input, output, _process: boto });

        let mut proxy = Command::new(&python);
        proxy.arg(tool("fault_proxy.py")).args(["--upstream", &address, "--until-eof", "--script"]).arg(world.path("faults.json"));
        let mut proxy = Background::start(proxy.arg("--log").arg(world.path("requests.jsonl")), Stdio::inherit());
        let listening = line_with(proxy.0.stdout.take().unwrap(), "127.0.0.1:");

        let keys = Credentials("testing".to_owned(), "testing".to_owned(), String::new());
        let cloud = Self { world, boto, told: Cell::new(0), scripts: Cell::new(0), credentials: Some(keys), _proxy: proxy, _moto: moto };
        cloud.configure(&format!("http://127.0.0.1:{listening}"), regions, lifecycle);
        cloud
    }

    fn configure(&self, url: &str, regions: &[&str], lifecycle: &str) {
        let regions = regions.join(", ");
        let text = format!(
            "ledger: sqlite://dewpoint.db\nsources:\n  - {{ name: aws, kind: aws, regions: [{regions}], endpoint_url: \"{url}\" }}\n\
             targets:\n  - {{ name: cmdb, kind: local, path: cmdb.db }}\nlifecycle: {{ defaults: {{ {lifecycle} }} }}\n"
        );
        self.world.write("dewpoint.yaml", &text);
    }

    /// Replaces the last line of the configuration, the timers.
    pub fn set_timers(&self, lifecycle: &str) {
        let text = std::fs::read_to_string(self.world.path("dewpoint.yaml")).unwrap();
        let (kept, _) = text.split_once("lifecycle:").unwrap();
        self.world.write("dewpoint.yaml", &format!("{kept}lifecycle: {{ defaults: {{ {lifecycle} }} }}\n"));
    }

    /// One call by boto3, past the proxy.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "so that calls read like calls")]
    pub fn boto(&self, service: &str, region: &str, call: &str, arguments: Value) -> Value {
        let mut boto = self.boto.borrow_mut();
        let request = json!({ "service": service, "region": region, "call": call, "arguments": arguments });
        writeln!(boto.input, "{request}").unwrap();
        let mut line = String::new();
        boto.output.read_line(&mut line).unwrap();
        let mut answer: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: boto.py said `{line}`"));
        assert!(answer["error"].is_null(), "{request}: {}", answer["error"]);
        answer["answer"].take()
    }

    /// One EC2 call by boto3.
    #[track_caller]
    pub fn ec2(&self, region: &str, call: &str, arguments: Value) -> Value {
        self.boto("ec2", region, call, arguments)
    }

    /// Sets the proxy's rules; counting starts anew, even where they are the same.
    pub fn faults(&self, rules: &Value) {
        // Blanks at the end make another file of the same rules.
        self.scripts.set(self.scripts.get() + 1);
        let padding = " ".repeat(self.scripts.get());
        self.world.write("faults.new", &format!("{}{padding}", json!({ "rules": rules })));
        std::fs::rename(self.world.path("faults.new"), self.world.path("faults.json")).unwrap();
    }

    /// Calls that came through the proxy since this was last asked: how many by `region Action`.
    pub fn calls(&self) -> BTreeMap<String, usize> {
        let log = std::fs::read_to_string(self.world.path("requests.jsonl")).unwrap_or_default();
        let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut calls = BTreeMap::new();
        for line in &lines[self.told.get()..] {
            assert!(line["error"].is_null(), "the proxy failed: {line}");
            *calls.entry(format!("{} {}", line["region"].as_str().unwrap(), line["action"].as_str().unwrap())).or_default() += 1;
        }
        self.told.set(lines.len());
        calls
    }

    /// Runs Dewpoint with this cloud's credentials and nothing of the machine's.
    pub fn run(&self, args: &[&str]) -> Ran {
        let mut command = self.world.command(args);
        for name in AWS_VARIABLES {
            command.env_remove(name);
        }
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_CONFIG_FILE", "/dev/null");
        command.env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null").env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        if let Some(Credentials(id, secret, token)) = &self.credentials {
            command.env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret);
            if !token.is_empty() {
                command.env("AWS_SESSION_TOKEN", token);
            }
        }
        Ran::of(&command.output().unwrap())
    }

    /// Runs it with `--output json`, expects this exit code, and gives the document.
    #[track_caller]
    pub fn json(&self, args: &[&str], code: i32) -> Value {
        let ran = self.run(&[args, &["--output", "json"]].concat());
        assert_eq!(ran.code, code, "exit code of {args:?}\n--- out\n{}\n--- err\n{}", ran.out, ran.err);
        ran.document()
    }

    /// Syncs, expects this exit code, and gives the document.
    #[track_caller]
    pub fn sync(&self, code: i32) -> Value {
        self.json(&["sync"], code)
    }

    /// Syncs, expects success, and gives the number of changes by name.
    #[track_caller]
    pub fn changes(&self) -> BTreeMap<String, u64> {
        World::counts(&self.sync(0)).into_iter().collect()
    }

    /// What a fresh VPC has: an image, a subnet, and its first three bytes of address.
    pub fn place(&self, region: &str) -> Place {
        let images = self.ec2(region, "describe_images", json!({ "Owners": ["amazon"] }));
        let subnets = self.ec2(region, "describe_subnets", json!({}));
        let subnet = &subnets["Subnets"][0];
        let cidr = subnet["CidrBlock"].as_str().unwrap();
        Place {
            region: region.to_owned(),
            image: images["Images"][0]["ImageId"].as_str().unwrap().to_owned(),
            subnet: subnet["SubnetId"].as_str().unwrap().to_owned(),
            network: subnet["VpcId"].as_str().unwrap().to_owned(),
            prefix: cidr.split_once('/').unwrap().0.rsplit_once('.').unwrap().0.to_owned(),
        }
    }

    /// Makes a security group and gives its id.
    #[track_caller]
    pub fn make_group(&self, place: &Place, name: &str) -> String {
        let arguments = json!({ "GroupName": name, "Description": format!("{name} of a test"), "VpcId": place.network });
        let made = self.ec2(&place.region, "create_security_group", arguments);
        made["GroupId"].as_str().unwrap().to_owned()
    }

    /// Starts an instance whose only interface ends with it, and gives its id.
    #[track_caller]
    pub fn make_instance(&self, place: &Place, name: &str, host: u8, groups: &[&str], over: Value) -> String {
        let mut arguments = json!({
            "ImageId": place.image, "MinCount": 1, "MaxCount": 1, "InstanceType": "t3.micro",
            "TagSpecifications": [{ "ResourceType": "instance", "Tags": [{ "Key": "Name", "Value": name }, { "Key": "env", "Value": "prod" }] }],
            "NetworkInterfaces": [{ "DeviceIndex": 0, "SubnetId": place.subnet, "Groups": groups, "DeleteOnTermination": true,
                                    "PrivateIpAddress": format!("{}.{host}", place.prefix) }],
        });
        if let Value::Object(over) = over {
            arguments.as_object_mut().unwrap().extend(over);
        }
        let made = self.ec2(&place.region, "run_instances", arguments);
        made["Instances"][0]["InstanceId"].as_str().unwrap().to_owned()
    }

    /// Ends an instance.
    #[track_caller]
    pub fn terminate(&self, region: &str, id: &str) {
        self.ec2(region, "terminate_instances", json!({ "InstanceIds": [id] }));
    }

    /// Removes a security group.
    #[track_caller]
    pub fn delete_group(&self, region: &str, id: &str) {
        self.ec2(region, "delete_security_group", json!({ "GroupId": id }));
    }

    /// What boto3 lists in a region, as [`Seen`] by key.
    pub fn listed(&self, region: &str) -> BTreeMap<String, Seen> {
        let mut seen = BTreeMap::new();
        for reservation in list(&self.ec2(region, "describe_instances", json!({})), "Reservations") {
            for instance in list(reservation, "Instances") {
                seen.extend([Seen::instance(region, instance)]);
            }
        }
        for interface in list(&self.ec2(region, "describe_network_interfaces", json!({})), "NetworkInterfaces") {
            seen.extend([Seen::interface(region, interface)]);
        }
        for group in list(&self.ec2(region, "describe_security_groups", json!({})), "SecurityGroups") {
            seen.extend([Seen::group(region, group)]);
        }
        seen
    }
}

/// Where instances are made.
#[derive(Debug, Clone)]
pub struct Place {
    pub region: String,
    pub image: String,
    pub subnet: String,
    pub network: String,
    pub prefix: String,
}

/// Key of an EC2 resource in moto's account.
pub fn key(region: &str, kind: &str, id: &str) -> String {
    format!("aws:arn:aws:ec2:{region}:{ACCOUNT}:{kind}/{id}")
}

/// One resource: what boto3 says of it, or what Dewpoint says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub kind: String,
    pub name: Option<String>,
    pub state: Option<String>,
    pub tags: BTreeMap<String, String>,
    /// Attributes as texts, lists sorted.
    pub facts: BTreeMap<String, Vec<String>>,
    /// Edges that begin here: `type key`.
    pub edges: BTreeSet<String>,
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn tags(value: &Value) -> BTreeMap<String, String> {
    value.as_array().into_iter().flatten().map(|tag| (text(&tag["Key"]).unwrap(), tag["Value"].as_str().unwrap().to_owned())).collect()
}

/// Private and public addresses of an instance or an interface.
fn addresses(value: &Value) -> (BTreeSet<String>, BTreeSet<String>) {
    let parts = || std::iter::once(value).chain(list(value, "PrivateIpAddresses"));
    (
        parts().filter_map(|part| text(&part["PrivateIpAddress"])).collect(),
        parts().filter_map(|part| text(&part["Association"]["PublicIp"])).chain(text(&value["PublicIpAddress"])).collect(),
    )
}

fn protected_by<'a>(region: &'a str, groups: &'a [Value]) -> impl Iterator<Item = String> + 'a {
    groups.iter().map(move |group| format!("protected_by {}", key(region, "security-group", group["GroupId"].as_str().unwrap())))
}

/// Attributes that are compared, and so asked for by the same names on both sides.
const FACTS: &[&str] = &[
    "size",
    "image",
    "zone",
    "architecture",
    "purchase",
    "private_addresses",
    "public_addresses",
    "macs",
    "mac",
    "delete_on_termination",
    "description",
    "rules",
];

impl Seen {
    fn instance(region: &str, instance: &Value) -> (String, Self) {
        let interfaces = list(instance, "NetworkInterfaces");
        let (mut private, mut public) = addresses(instance);
        for interface in interfaces {
            let (more_private, more_public) = addresses(interface);
            private.extend(more_private);
            public.extend(more_public);
        }
        let macs = interfaces.iter().filter_map(|interface| text(&interface["MacAddress"])).collect::<BTreeSet<_>>();
        let groups = std::iter::once(instance).map(|instance| list(instance, "SecurityGroups"));
        let groups = groups.chain(interfaces.iter().map(|interface| list(interface, "Groups")));
        let state = instance["State"]["Name"].as_str().unwrap().replace("shutting-down", "stopping");
        let tags = tags(&instance["Tags"]);
        let one = |value: &Value| text(value).into_iter().collect::<Vec<_>>();
        let seen = Self {
            kind: "instance".to_owned(),
            name: tags.get("Name").cloned(),
            state: Some(state),
            tags,
            facts: facts([
                ("size", one(&instance["InstanceType"])),
                ("image", one(&instance["ImageId"])),
                ("zone", one(&instance["Placement"]["AvailabilityZone"])),
                ("architecture", one(&instance["Architecture"])),
                ("purchase", vec![text(&instance["InstanceLifecycle"]).unwrap_or_else(|| "on_demand".to_owned())]),
                ("private_addresses", private.into_iter().collect()),
                ("public_addresses", public.into_iter().collect()),
                ("macs", macs.into_iter().collect()),
            ]),
            edges: groups.flat_map(|groups| protected_by(region, groups)).collect(),
        };
        (key(region, "instance", instance["InstanceId"].as_str().unwrap()), seen)
    }

    fn interface(region: &str, interface: &Value) -> (String, Self) {
        let (private, public) = addresses(interface);
        let attachment = &interface["Attachment"];
        let mut edges: BTreeSet<String> = protected_by(region, list(interface, "Groups")).collect();
        edges.extend([format!("connected_to {}", key(region, "subnet", interface["SubnetId"].as_str().unwrap()))]);
        edges.extend(text(&attachment["InstanceId"]).map(|id| format!("attached_to {}", key(region, "instance", &id))));
        let tags = tags(&interface["TagSet"]);
        let seen = Self {
            kind: "network_interface".to_owned(),
            name: tags.get("Name").cloned(),
            state: text(&interface["Status"]),
            tags,
            facts: facts([
                ("zone", text(&interface["AvailabilityZone"]).into_iter().collect()),
                ("private_addresses", private.into_iter().collect()),
                ("public_addresses", public.into_iter().collect()),
                ("mac", text(&interface["MacAddress"]).into_iter().collect()),
                ("description", text(&interface["Description"]).into_iter().collect()),
                ("delete_on_termination", attachment["DeleteOnTermination"].as_bool().map(|flag| flag.to_string()).into_iter().collect()),
            ]),
            edges,
        };
        (key(region, "network-interface", interface["NetworkInterfaceId"].as_str().unwrap()), seen)
    }

    fn group(region: &str, group: &Value) -> (String, Self) {
        let mut rules = BTreeSet::new();
        for (direction, name) in [("ingress", "IpPermissions"), ("egress", "IpPermissionsEgress")] {
            for permission in list(group, name) {
                let protocol = permission["IpProtocol"].as_str().unwrap().replace("-1", "all");
                let ports = match (permission["FromPort"].as_i64(), permission["ToPort"].as_i64()) {
                    (Some(from), Some(to)) if from == to => from.to_string(),
                    (Some(from), Some(to)) => format!("{from}-{to}"),
                    _ => "all".to_owned(),
                };
                let ranges = list(permission, "IpRanges").iter().map(|range| text(&range["CidrIp"]).unwrap());
                let pairs = list(permission, "UserIdGroupPairs").iter().map(|pair| text(&pair["GroupId"]).unwrap());
                rules.extend(ranges.chain(pairs).map(|peer| format!("{direction} {protocol} {ports} {peer}")));
            }
        }
        let seen = Self {
            kind: "security_group".to_owned(),
            name: text(&group["GroupName"]),
            state: None,
            tags: tags(&group["Tags"]),
            facts: facts([("description", text(&group["Description"]).into_iter().collect()), ("rules", rules.into_iter().collect())]),
            edges: BTreeSet::new(),
        };
        (key(region, "security-group", group["GroupId"].as_str().unwrap()), seen)
    }

    /// From a document of `dewpoint show`.
    pub fn shown(document: &Value) -> Self {
        let attributes = &document["attributes"];
        let texts = |name: &&str| -> Vec<String> {
            match &attributes[*name] {
                Value::Null => Vec::new(),
                Value::Array(items) => items.iter().map(rule_or_text).collect(),
                Value::String(text) => vec![text.clone()],
                other => vec![other.to_string()],
            }
        };
        let relations = list(document, "relations").iter();
        Self {
            kind: text(&document["kind"]).unwrap(),
            name: text(&document["name"]),
            state: text(&document["state"]),
            tags: serde_json::from_value(document["tags"].clone()).unwrap(),
            facts: FACTS.iter().map(|name| ((*name).to_owned(), sorted(texts(name)))).filter(|(_, texts)| !texts.is_empty()).collect(),
            edges: relations.filter_map(|relation| Some(format!("{} {}", relation["type"].as_str()?, relation["to"].as_str()?))).collect(),
        }
    }
}

fn facts<const N: usize>(facts: [(&str, Vec<String>); N]) -> BTreeMap<String, Vec<String>> {
    let facts = facts.into_iter().filter(|(_, texts)| !texts.is_empty());
    facts.map(|(name, texts)| (name.to_owned(), sorted(texts))).collect()
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts
}

fn rule_or_text(item: &Value) -> String {
    let Value::Object(rule) = item else { return item.as_str().unwrap().to_owned() };
    let word = |name: &str| rule[name].as_str().unwrap();
    let peer = rule["peer"].get("cidr").or_else(|| rule["peer"].get("id")).and_then(Value::as_str).unwrap();
    format!("{} {} {} {peer}", word("direction"), word("protocol"), word("ports"))
}
