//! `DescribeInstanceTypes`.

use std::{collections::BTreeMap, sync::LazyLock};

use super::{Listed, Row, Spec, list};
use crate::{
    call::Call,
    error::ApiError,
    filter::Values,
    world::{InstanceType, Tags},
};

static NO_TAGS: LazyLock<Tags> = LazyLock::new(Tags::new);

/// The most types that one call may name.
const TYPES_MAX: usize = 100;

const SPEC: Spec = Spec {
    ids: "InstanceType",
    prefix: None,
    malformed: "",
    not_found: "InvalidInstanceType",
    unknown: ["The following supplied instance types do not exist: [{}]", "The following supplied instance types do not exist: [{}]"],
    filters: &[
        "bare-metal",
        "current-generation",
        "hypervisor",
        "instance-type",
        "memory-info.size-in-mib",
        "processor-info.supported-architecture",
        "vcpu-info.default-vcpus",
    ],
    size: Some((5, 100)),
    clamps: false,
    size_or_ids: false,
};

struct TypeRow<'a>(&'a InstanceType);

pub(super) fn describe(call: &mut Call<'_>) -> Result<String, ApiError> {
    // What is named or used exists, beside the table.
    let asked = (1..).map_while(|index| call.params.peek(&format!("InstanceType.{index}"))).collect::<Vec<_>>();
    if asked.len() > TYPES_MAX {
        return Err(ApiError::invalid(call.service, format!("The maximum number of instance types is {TYPES_MAX}")));
    }
    let used = call.region.instances.values().map(|instance| instance.instance_type.as_str());
    let made_up = asked.iter().map(String::as_str).chain(used).filter_map(InstanceType::named);
    let mut types: BTreeMap<String, InstanceType> =
        InstanceType::table().into_iter().chain(made_up).map(|one| (one.name.clone(), one)).collect();
    types.extend(call.region.instance_types.iter().map(|(name, one)| (name.clone(), one.clone())));
    let rows = types.values().map(TypeRow).collect();
    let Listed { rows, next } = list(call, &SPEC, rows)?;
    Ok(call.ec2_answer(|xml| {
        xml.list("instanceTypeSet", "item", rows.iter().enumerate(), |xml, (index, TypeRow(one))| {
            let metal = one.hypervisor.is_none();
            xml.optional("instanceType", Some(&one.name).filter(|_| !call.quirks(index).no_id));
            xml.plain("currentGeneration", true);
            xml.plain("freeTierEligible", false);
            xml.texts("supportedUsageClasses", "item", ["on-demand", "spot"]);
            xml.texts("supportedRootDeviceTypes", "item", ["ebs"]);
            xml.texts("supportedVirtualizationTypes", "item", ["hvm"]);
            xml.plain("bareMetal", metal);
            xml.optional("hypervisor", one.hypervisor.as_ref());
            xml.element("processorInfo", |xml| xml.texts("supportedArchitectures", "item", [&one.architecture]));
            xml.element("vCpuInfo", |xml| {
                xml.plain("defaultVCpus", one.vcpus);
                xml.plain("defaultCores", one.vcpus / one.threads_per_core.max(1));
                xml.plain("defaultThreadsPerCore", one.threads_per_core);
            });
            xml.element("memoryInfo", |xml| xml.plain("sizeInMiB", one.memory_mib));
            xml.plain("instanceStorageSupported", false);
        });
        xml.optional("nextToken", next.as_ref());
    }))
}

impl<'a> Row<'a> for TypeRow<'a> {
    fn key(&self) -> &str {
        &self.0.name
    }

    fn tags(&self) -> &'a Tags {
        &NO_TAGS
    }

    fn values(&self, filter: &str) -> Values<'a> {
        let one = self.0;
        match filter {
            "bare-metal" => vec![if one.hypervisor.is_none() { "true" } else { "false" }.into()],
            "current-generation" => vec!["true".into()],
            "hypervisor" => one.hypervisor.iter().map(|hypervisor| hypervisor.as_str().into()).collect(),
            "instance-type" => vec![one.name.as_str().into()],
            "memory-info.size-in-mib" => vec![one.memory_mib.to_string().into()],
            "processor-info.supported-architecture" => vec![one.architecture.as_str().into()],
            "vcpu-info.default-vcpus" => vec![one.vcpus.to_string().into()],
            _ => Vec::new(),
        }
    }
}
