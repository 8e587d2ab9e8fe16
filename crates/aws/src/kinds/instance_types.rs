//! Sizes of machines: `ec2:DescribeInstanceTypes`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock};

use async_trait::async_trait;
use aws_sdk_ec2::types::InstanceTypeInfo;
use dewpoint_core::model::Resource;
use serde_json::Value;

use crate::action::Action;
use crate::error::Fault;
use crate::map::{Found, filled};
use crate::paging::{Ask, Pages, read_all};
use crate::session::Calls;

pub(crate) const ACTION: Action = Action::ec2("ec2:DescribeInstanceTypes");

/// Types asked for at once: the most that one page holds.
const TYPES_PER_CALL: usize = 100;

/// What a type of machine has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Size {
    vcpus: Option<u64>,
    memory_mib: Option<u64>,
}

/// The sizes of the types seen so far. A type is the same in all accounts and regions of a partition, and a source reads one partition.
#[derive(Debug, Default)]
pub(crate) struct Catalogue(RwLock<BTreeMap<String, Size>>);

impl Catalogue {
    /// Gives instances the vCPUs and memory of their type, and asks for the types that are not known yet. What a type has that AWS does not name
    /// (it is not offered any more, or the answer lags) is unread: machines of it have not lost their memory.
    pub(crate) async fn fill(&self, calls: &Calls<'_>, found: &mut Found) -> Result<(), Fault> {
        let Found { resources: instances, unread, .. } = found;
        let known = |name: &str| self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).copied();
        let names: BTreeSet<&str> = instances.iter().filter_map(size_of).collect();
        let unknown: Vec<String> = names.into_iter().filter(|name| known(name).is_none()).map(str::to_owned).collect();
        let mut failed = Ok(());
        for chunk in unknown.chunks(TYPES_PER_CALL) {
            let (sizes, fault) = read_all(InstanceTypes, calls, Ask::of_ids(chunk)).await;
            self.0.write().unwrap_or_else(PoisonError::into_inner).extend(sizes);
            if let Some(fault) = fault {
                failed = Err(fault);
                break;
            }
        }
        for instance in instances {
            let size = size_of(instance).and_then(known).unwrap_or_default();
            let attributes = &mut instance.attributes;
            if let Some(memory) = size.memory_mib {
                attributes.insert("memory_mib".to_owned(), Value::from(memory));
            }
            // What the machine was launched with counts more than what its type could have.
            if let Some(vcpus) = size.vcpus {
                attributes.entry("vcpus".to_owned()).or_insert_with(|| Value::from(vcpus));
            }
            let missing = ["vcpus", "memory_mib"].into_iter().filter(|name| !attributes.contains_key(*name));
            let missing: BTreeSet<String> = missing.map(str::to_owned).collect();
            if !missing.is_empty() {
                unread.insert(instance.key.clone(), missing);
            }
        }
        failed
    }
}

fn size_of(instance: &Resource) -> Option<&str> {
    instance.attributes.get("size").and_then(Value::as_str)
}

/// Types by name. Filter values are case-sensitive here, as type names are.
///
/// Source: Amazon EC2 API Reference, DescribeInstanceTypes.
pub(crate) struct InstanceTypes;

#[async_trait]
impl Pages for InstanceTypes {
    type Out = Vec<(String, Size)>;

    fn action(&self) -> Action {
        ACTION
    }

    async fn page(&self, calls: &Calls<'_>, ask: &Ask<'_>, sizes: &mut Vec<(String, Size)>) -> Result<Option<String>, Fault> {
        let send = |meter| {
            let call = calls.clients().ec2().describe_instance_types().max_results(ask.size(100));
            call.set_next_token(ask.token()).set_filters(ask.filters("instance-type")).customize().interceptor(meter).send()
        };
        let answer = calls.call(ACTION, send).await?;
        for info in answer.instance_types() {
            sizes.push(read(info).ok_or_else(|| Fault::truncated(ACTION.name, "an instance type has no name"))?);
        }
        Ok(answer.next_token)
    }
}

fn read(info: &InstanceTypeInfo) -> Option<(String, Size)> {
    let name = filled(info.instance_type().map(|name| name.as_str()))?;
    let vcpus = info.v_cpu_info().and_then(|vcpus| vcpus.default_v_cpus()).and_then(|vcpus| u64::try_from(vcpus).ok());
    let memory_mib = info.memory_info().and_then(|memory| memory.size_in_mib()).and_then(|memory| u64::try_from(memory).ok());
    Some((name.to_owned(), Size { vcpus, memory_mib }))
}
