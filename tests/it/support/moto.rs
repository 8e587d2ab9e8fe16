//! A cloud on loopback: a moto server, boto3 to change it and to say what it holds, and a proxy that breaks chosen calls.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Ran, World};

/// The account that moto gives everyone who has assumed no role.
pub const ACCOUNT: &str = "123456789012";
/// Another account, and the role in it.
pub const OTHER: &str = "222222222222";
pub const ROLE: &str = "arn:aws:iam::222222222222:role/DewpointReader";
pub const IRELAND: &str = "eu-west-1";
pub const VIRGINIA: &str = "us-east-1";

/// Longest wait for a server to say that it listens. A busy machine takes several seconds.
const START: Duration = Duration::from_secs(120);

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
    /// Where Dewpoint finds it.
    pub url: String,
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
        let world = World::of_cloud("AWS_")
            .with("AWS_EC2_METADATA_DISABLED", "true")
            .with("AWS_CONFIG_FILE", "/dev/null")
            .with("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
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
        let (told, scripts, credentials) = (Cell::new(0), Cell::new(0), Some(keys));
        let url = format!("http://127.0.0.1:{listening}");
        let cloud = Self { world, boto, told, scripts, credentials, url, _proxy: proxy, _moto: moto };
        cloud.configure(&format!("regions: [{}]", regions.join(", ")), lifecycle);
        cloud
    }

    /// Writes the configuration. `source` are keys of the source, `lifecycle` of `lifecycle.defaults`.
    pub fn configure(&self, source: &str, lifecycle: &str) {
        let source = format!("{{ name: aws, kind: aws, {source}, endpoint_url: \"{}\" }}", self.url);
        self.world.configure(&source, &format!("defaults: {{ {lifecycle} }}"));
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
        self.ask(&json!({ "service": service, "region": region, "call": call, "arguments": arguments }))
    }

    #[track_caller]
    fn ask(&self, request: &Value) -> Value {
        let mut boto = self.boto.borrow_mut();
        writeln!(boto.input, "{request}").unwrap();
        let mut line = String::new();
        boto.output.read_line(&mut line).unwrap();
        let mut answer: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: boto.py said `{line}`"));
        assert!(answer["error"].is_null(), "{request}: {}", answer["error"]);
        answer["answer"].take()
    }

    /// One call by boto3 in [`OTHER`], as its role.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "so that calls read like calls")]
    pub fn boto_other(&self, service: &str, region: &str, call: &str, arguments: Value) -> Value {
        self.ask(&json!({ "role": ROLE, "service": service, "region": region, "call": call, "arguments": arguments }))
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
        self.run(&[args, &["--output", "json"]].concat()).expect(code, args).document()
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

    /// What boto3 lists in a region of the usual account, by key.
    pub fn listed(&self, region: &str) -> BTreeMap<String, Seen> {
        self.listing(json!({ "listing": { "account": ACCOUNT, "region": region } }))
    }

    /// What boto3 lists in a region of [`OTHER`], by key.
    pub fn listed_other(&self, region: &str) -> BTreeMap<String, Seen> {
        self.listing(json!({ "role": ROLE, "listing": { "account": OTHER, "region": region } }))
    }

    /// An account, by its key, as boto3 sees it from a region.
    pub fn listed_account(&self, role: Option<&str>, account: &str, home: &str) -> BTreeMap<String, Seen> {
        self.listing(json!({ "role": role, "listing": { "account": account, "region": "*", "home": home } }))
    }

    #[expect(clippy::needless_pass_by_value, reason = "so that calls read like calls")]
    fn listing(&self, request: Value) -> BTreeMap<String, Seen> {
        let mut seen: BTreeMap<String, Seen> = serde_json::from_value(self.ask(&request)).unwrap();
        for (key, seen) in &mut seen {
            seen.account = request["listing"]["account"].as_str().unwrap().to_owned();
            seen.facts.retain(|name, _| FACTS.contains(&name.as_str()));
            assert!(key.contains(&seen.account), "{key}");
        }
        seen
    }

    /// What Dewpoint knows to be there, by key, as `dewpoint export` has it.
    pub fn exported(&self) -> BTreeMap<String, Seen> {
        let exported = self.run(&["export"]);
        assert_eq!(exported.code, 0, "{}", exported.err);
        let document: Value = serde_json::from_str(&exported.out).unwrap();
        let mut seen: BTreeMap<String, Seen> = list(&document, "resources")
            .iter()
            .map(|resource| (resource["key"].as_str().unwrap().to_owned(), Seen::of(resource)))
            .collect();
        for relation in list(&document, "relations") {
            let edge = format!("{} {}", relation["type"].as_str().unwrap(), relation["to"].as_str().unwrap());
            seen.get_mut(relation["from"].as_str().unwrap()).unwrap().edges.insert(edge);
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

/// One resource: what boto3 says of it (`tests/tools/boto_listing.py`), or what Dewpoint says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Seen {
    pub kind: String,
    pub native_id: String,
    #[serde(default)]
    pub account: String,
    pub region: String,
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

/// Attributes that are compared, and so asked for by the same names on both sides.
const FACTS: &[&str] = &[
    "address",
    "allocation",
    "architecture",
    "balancer_type",
    "cidrs",
    "created_at",
    "delete_on_termination",
    "description",
    "desired_size",
    "display_name",
    "dns_name",
    "encrypted",
    "healthy_count",
    "image",
    "iops",
    "is_default",
    "launch_template",
    "listeners",
    "mac",
    "macs",
    "max_size",
    "member_count",
    "member_type",
    "memory_mib",
    "min_size",
    "network",
    "open_to_world",
    "port",
    "private_addresses",
    "protocol",
    "public_addresses",
    "purchase",
    "rules",
    "scheme",
    "size",
    "size_gib",
    "sizes",
    "subnet",
    "vcpus",
    "volume_type",
    "zone",
    "zone_id",
    "zones",
];

impl Seen {
    /// From a document of `dewpoint show`.
    pub fn shown(document: &Value) -> Self {
        let relations = list(document, "relations").iter();
        let edges = relations.filter_map(|relation| Some(format!("{} {}", relation["type"].as_str()?, relation["to"].as_str()?)));
        Self { edges: edges.collect(), ..Self::of(document) }
    }

    /// From a resource of an inventory file, or a document of `dewpoint show`: without edges.
    fn of(resource: &Value) -> Self {
        let texts = |name: &&str| -> Vec<String> {
            // No attribute, but compared like one: to the second.
            if *name == "created_at" {
                return resource[*name].as_str().map(|at| at[..19].to_owned()).into_iter().collect();
            }
            match &resource["attributes"][*name] {
                Value::Null => Vec::new(),
                Value::Array(items) => items.iter().map(spelt).collect(),
                Value::String(text) => vec![text.clone()],
                other => vec![other.to_string()],
            }
        };
        Self {
            kind: text(&resource["kind"]).unwrap(),
            native_id: text(&resource["native_id"]).unwrap(),
            account: text(&resource["account"]).unwrap(),
            region: text(&resource["region"]).unwrap(),
            name: text(&resource["name"]),
            state: text(&resource["state"]),
            tags: serde_json::from_value(resource["tags"].clone()).unwrap(),
            facts: FACTS.iter().map(|name| ((*name).to_owned(), sorted(texts(name)))).filter(|(_, texts)| !texts.is_empty()).collect(),
            edges: BTreeSet::new(),
        }
    }
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts
}

/// A text, a rule, or a listener.
fn spelt(item: &Value) -> String {
    let Value::Object(fields) = item else { return item.as_str().unwrap().to_owned() };
    let word = |name: &str| fields[name].as_str().unwrap();
    let Some(peer) = fields.get("peer") else { return format!("{}/{}", word("protocol"), fields["port"]) };
    let peer = peer.get("cidr").or_else(|| peer.get("id")).and_then(Value::as_str).unwrap();
    format!("{} {} {} {peer}", word("direction"), word("protocol"), word("ports"))
}
