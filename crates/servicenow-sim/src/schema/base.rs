//! The base system's tables and rules, as far as a connector of clouds meets them.

use std::collections::BTreeMap;

use super::{Column, HostRule, IdentificationRule, Schema, Table};
use crate::hash::base_sys_id;

/// What a column is, in words: its type, then any of `max N`, `ref TABLE`, `mandatory`, `display`, `default X`, `readonly`, `app` (comes with the store app).
type Spec = (&'static str, &'static str);
/// Name, table that it extends, label, columns.
type TableSpec = (&'static str, &'static str, &'static str, &'static [Spec]);

const SYSTEM: &[Spec] = &[
    ("sys_id", "GUID max 32 readonly"),
    ("sys_created_on", "glide_date_time readonly"),
    ("sys_created_by", "string max 40 readonly"),
    ("sys_updated_on", "glide_date_time readonly"),
    ("sys_updated_by", "string max 40 readonly"),
    ("sys_mod_count", "integer readonly"),
];

const TABLES: &[TableSpec] = &[
    (
        "cmdb",
        "",
        "Base Configuration Item",
        &[
            ("name", "string max 255 display"),
            ("sys_class_name", "sys_class_name max 80 readonly"),
            ("short_description", "string max 1000"),
            ("asset_tag", "string max 40"),
            ("serial_number", "string max 255"),
            ("install_status", "integer default 1"),
            ("assigned_to", "reference ref sys_user"),
            ("owned_by", "reference ref sys_user"),
            ("managed_by", "reference ref sys_user"),
            ("supported_by", "reference ref sys_user"),
            ("department", "reference ref cmn_department"),
            ("manufacturer", "reference ref core_company"),
            ("vendor", "reference ref core_company"),
            ("model_id", "reference ref cmdb_model"),
            ("cost_center", "reference ref cmn_cost_center"),
            ("location", "reference ref cmn_location"),
            ("company", "reference ref core_company"),
            ("support_group", "reference ref sys_user_group"),
            ("assignment_group", "reference ref sys_user_group"),
            ("managed_by_group", "reference ref sys_user_group"),
            ("life_cycle_stage", "reference ref life_cycle_stage"),
            ("life_cycle_stage_status", "reference ref life_cycle_stage_status"),
        ],
    ),
    (
        "cmdb_ci",
        "cmdb",
        "Configuration Item",
        &[
            ("operational_status", "integer default 1"),
            ("discovery_source", "string max 40"),
            ("first_discovered", "glide_date_time"),
            ("last_discovered", "glide_date_time"),
            ("correlation_id", "string max 100"),
            ("correlation_display", "string max 100"),
            ("category", "string max 100"),
            ("subcategory", "string max 100"),
            ("environment", "string max 40"),
            ("ip_address", "string max 255"),
            ("fqdn", "string max 255"),
            ("dns_domain", "string max 255"),
            ("mac_address", "string max 18"),
            ("model_number", "string max 255"),
            ("comments", "string max 4000"),
            ("attributes", "string max 65000"),
            ("duplicate_of", "reference ref cmdb_ci"),
            ("attested_by", "reference ref sys_user"),
            ("business_unit", "reference ref business_unit"),
            ("change_control", "reference ref sys_user_group"),
            ("maintenance_schedule", "reference ref cmn_schedule"),
            ("schedule", "reference ref cmn_schedule"),
            ("unverified", "boolean"),
            ("fault_count", "integer default 0"),
        ],
    ),
    (
        "cmdb_ci_cloud_service_account",
        "cmdb_ci",
        "Cloud Service Account",
        &[
            ("account_id", "string max 100"),
            ("object_id", "string max 255"),
            ("datacenter_type", "string max 80 mandatory"),
            ("is_master_account", "boolean"),
            ("parent_account", "reference ref cmdb_ci_cloud_service_account"),
            ("organization_id", "string max 100"),
        ],
    ),
    ("cmdb_ci_logical_datacenter", "cmdb_ci", "Logical Datacenter", &[("object_id", "string max 255"), ("region", "string max 100")]),
    ("cmdb_ci_aws_datacenter", "cmdb_ci_logical_datacenter", "AWS Datacenter", &[]),
    ("cmdb_ci_azure_datacenter", "cmdb_ci_logical_datacenter", "Azure Datacenter", &[]),
    ("cmdb_ci_vm_object", "cmdb_ci", "Virtual Machine Object", &[("object_id", "string max 255"), ("state", "string max 40")]),
    (
        "cmdb_ci_vm_instance",
        "cmdb_ci_vm_object",
        "Virtual Machine Instance",
        &[
            ("vm_inst_id", "string max 255"),
            ("cpus", "integer"),
            ("memory", "integer"),
            ("nics", "integer"),
            ("disks", "integer"),
            ("disks_size", "integer"),
            ("guest_os", "string max 255"),
        ],
    ),
    ("cmdb_ci_resource_group", "cmdb_ci_vm_object", "Resource Group", &[]),
    ("cmdb_ci_availability_zone", "cmdb_ci_vm_object", "Availability Zone", &[]),
    (
        "cmdb_ci_network",
        "cmdb_ci",
        "Cloud Network",
        &[("object_id", "string max 255 app"), ("cidr", "string max 255 app"), ("state", "string max 40")],
    ),
    (
        "cmdb_ci_cloud_subnet",
        "cmdb_ci",
        "Cloud Subnet",
        &[("object_id", "string max 255"), ("cidr", "string max 255"), ("available_ip_count", "integer"), ("state", "string max 40")],
    ),
    ("cmdb_ci_compute_security_group", "cmdb_ci_vm_object", "Compute Security Group", &[]),
    (
        "cmdb_ci_nic",
        "cmdb_ci_vm_object",
        "Cloud Network Interface",
        &[
            ("private_ip", "string max 255"),
            ("public_ip", "string max 255"),
            ("private_dns", "string max 255"),
            ("public_dns", "string max 255"),
            ("cmdb_ci", "reference ref cmdb_ci"),
        ],
    ),
    ("cmdb_ci_endpoint", "cmdb_ci", "Endpoint", &[]),
    ("cmdb_ci_endpoint_vnic", "cmdb_ci_endpoint", "vNIC Endpoint", &[("object_id", "string max 255"), ("host", "string max 255")]),
    (
        "cmdb_ci_storage_volume",
        "cmdb_ci",
        "Storage Volume",
        &[
            ("object_id", "string max 255"),
            ("volume_id", "string max 255"),
            ("size_bytes", "integer"),
            ("storage_type", "string max 100"),
            ("state", "string max 40"),
        ],
    ),
    ("cmdb_ci_storage_cluster", "cmdb_ci", "Storage Cluster", &[]),
    (
        "cmdb_ci_cloud_load_balancer",
        "cmdb_ci_vm_object",
        "Cloud Load Balancer",
        &[("dns_name", "string max 255"), ("canonical_hosted_zone_name", "string max 255")],
    ),
    (
        "cmdb_ci_cloud_public_ipaddress",
        "cmdb_ci_vm_object",
        "Cloud Public IP Address",
        &[("public_ip_address", "string max 255"), ("public_dns", "string max 255")],
    ),
    ("cmdb_ci_cloud_lb_ipaddress", "cmdb_ci", "Cloud Load Balancer IP Address", &[("object_id", "string max 255")]),
    (
        "cmdb_ci_lb_service",
        "cmdb_ci",
        "Load Balancer Service",
        &[("object_id", "string max 255"), ("port", "integer"), ("service_protocol", "string max 100")],
    ),
    ("cmdb_ci_lb_pool", "cmdb_ci", "Load Balancer Pool", &[("object_id", "string max 255")]),
    ("cmdb_ci_lb_pool_member", "cmdb_ci", "Load Balancer Pool Member", &[("object_id", "string max 255"), ("service_port", "integer")]),
    (
        "cmdb_ci_instance_scale_set",
        "cmdb_ci_vm_object",
        "Instance Scale Set",
        &[("desired_capacity", "integer"), ("min_size", "integer"), ("max_size", "integer")],
    ),
    ("cmdb_ci_compute_template", "cmdb_ci_vm_object", "Compute Template", &[("provider", "string max 100")]),
    ("cmdb_ci_cloud_hardware_type", "cmdb_ci_compute_template", "Cloud Hardware Type", &[]),
    ("cmdb_ci_os_template", "cmdb_ci_vm_object", "OS Template", &[("provider", "string max 100")]),
    ("cmdb_ci_cloud_os_image", "cmdb_ci_os_template", "Cloud OS Image", &[]),
    ("cmdb_ci_hardware", "cmdb_ci", "Hardware", &[("hardware_status", "string max 40")]),
    ("cmdb_ci_computer", "cmdb_ci_hardware", "Computer", &[("os", "string max 255"), ("ram", "integer"), ("cpu_count", "integer")]),
    ("cmdb_ci_server", "cmdb_ci_computer", "Server", &[("host_name", "string max 255")]),
    ("cmdb_ci_linux_server", "cmdb_ci_server", "Linux Server", &[]),
    ("cmdb_ci_service", "cmdb_ci", "Service", &[("service_classification", "string max 40"), ("number", "string max 40")]),
    ("cmdb_ci_service_business", "cmdb_ci_service", "Business Service", &[]),
    ("cmdb_ci_service_technical", "cmdb_ci_service", "Technology Management Service", &[]),
    ("cmdb_ci_service_auto", "cmdb_ci_service", "Application Service", &[]),
    ("cmdb_ci_service_discovered", "cmdb_ci_service_auto", "Mapped Application Service", &[]),
    ("cmdb_ci_service_by_tags", "cmdb_ci_service_auto", "Tag-Based Application Service", &[]),
    ("cmdb_ci_business_app", "cmdb_ci", "Business Application", &[("number", "string max 40")]),
    (
        "cmdb_key_value",
        "",
        "Key Value",
        &[("key", "string max 255 display"), ("value", "string max 1024"), ("configuration_item", "reference ref cmdb_ci")],
    ),
    (
        "cmdb_serial_number",
        "",
        "Serial Number",
        &[
            ("serial_number", "string max 255 display"),
            ("serial_number_type", "string max 40"),
            ("valid", "boolean"),
            ("cmdb_ci", "reference ref cmdb_ci"),
            ("absent", "boolean"),
        ],
    ),
    (
        "cmdb_rel_ci",
        "",
        "CI Relationship",
        &[
            ("parent", "reference ref cmdb_ci"),
            ("child", "reference ref cmdb_ci"),
            ("type", "reference ref cmdb_rel_type"),
            ("connection_strength", "string max 40"),
            ("port", "integer"),
        ],
    ),
    (
        "cmdb_rel_type",
        "",
        "CI Relation Type",
        &[
            ("name", "string max 255 display"),
            ("parent_descriptor", "string max 100"),
            ("child_descriptor", "string max 100"),
            ("sys_name", "string max 255"),
        ],
    ),
    (
        "sys_object_source",
        "",
        "Object Source",
        &[
            ("name", "string max 255 display"),
            ("id", "string max 1024"),
            ("source_feed", "string max 255"),
            ("target_table", "string max 80"),
            ("target_sys_id", "string max 32"),
            ("last_scan", "glide_date_time"),
            ("source_recency_timestamp", "glide_date_time"),
        ],
    ),
    (
        "sys_rel_source",
        "",
        "Relation Source",
        &[
            ("name", "string max 255 display"),
            ("source_feed", "string max 255"),
            ("target_sys_id", "string max 32"),
            ("last_scan", "glide_date_time"),
        ],
    ),
    (
        "cmdb_ire_partial_payloads",
        "",
        "IRE Partial Payload",
        &[
            ("class_name", "string max 80"),
            ("discovery_source", "string max 255"),
            ("source_native_key", "string max 1024"),
            ("payload", "string max 1000000"),
            ("error", "string max 100"),
            ("expires_on", "glide_date_time"),
        ],
    ),
    (
        "cmdb_ire_incomplete_payloads",
        "",
        "IRE Incomplete Payload",
        &[
            ("class_name", "string max 80"),
            ("discovery_source", "string max 255"),
            ("payload", "string max 1000000"),
            ("error", "string max 100"),
        ],
    ),
    (
        "reconcile_duplicate_task",
        "",
        "Remediate Duplicate Task",
        &[("number", "string max 40 display"), ("short_description", "string max 1000"), ("record", "reference ref cmdb_ci")],
    ),
    (
        "sys_choice",
        "",
        "Choice",
        &[
            ("name", "string max 80"),
            ("element", "string max 80"),
            ("value", "string max 255"),
            ("label", "string max 255 display"),
            ("language", "string max 3 default en"),
            ("inactive", "boolean default false"),
            ("sys_scope", "string max 40 default global"),
        ],
    ),
    (
        "sys_user",
        "",
        "User",
        &[
            ("user_name", "string max 40"),
            ("name", "string max 151 display"),
            ("first_name", "string max 50"),
            ("last_name", "string max 50"),
            ("email", "string max 100"),
            ("employee_number", "string max 40"),
            ("active", "boolean default true"),
            ("locked_out", "boolean default false"),
            ("manager", "reference ref sys_user"),
        ],
    ),
    (
        "sys_user_group",
        "",
        "Group",
        &[
            ("name", "string max 80 display"),
            ("email", "string max 100"),
            ("active", "boolean default true"),
            ("manager", "reference ref sys_user"),
        ],
    ),
    ("sys_user_grmember", "", "Group Member", &[("user", "reference ref sys_user"), ("group", "reference ref sys_user_group")]),
    ("sys_properties", "", "System Property", &[("name", "string max 100 display"), ("value", "string max 4000")]),
    (
        "cmn_cost_center",
        "",
        "Cost Center",
        &[("name", "string max 100 display"), ("code", "string max 40"), ("account_number", "string max 40")],
    ),
    (
        "cmn_location",
        "",
        "Location",
        &[("name", "string max 100 display"), ("full_name", "string max 255"), ("city", "string max 40"), ("country", "string max 40")],
    ),
    ("cmn_department", "", "Department", &[("name", "string max 100 display"), ("id", "string max 40")]),
    ("cmn_schedule", "", "Schedule", &[("name", "string max 80 display")]),
    ("business_unit", "", "Business Unit", &[("name", "string max 100 display")]),
    ("cmdb_model", "", "Product Model", &[("display_name", "string max 255 display"), ("name", "string max 255")]),
    ("core_company", "", "Company", &[("name", "string max 80 display")]),
    ("life_cycle_stage", "", "Life Cycle Stage", &[("name", "string max 100 display")]),
    (
        "life_cycle_stage_status",
        "",
        "Life Cycle Stage Status",
        &[("name", "string max 100 display"), ("life_cycle_stage", "reference ref life_cycle_stage")],
    ),
    (
        "alm_asset",
        "",
        "Asset",
        &[("display_name", "string max 255 display"), ("ci", "reference ref cmdb_ci"), ("install_status", "integer")],
    ),
];

/// Class, whether it stands alone, criterion attributes (entries apart by `;`, attributes by `,`), whether the rule comes with the store app.
const RULES: &[(&str, bool, &str, bool)] = &[
    ("cmdb_ci_cloud_service_account", true, "object_id;account_id", false),
    ("cmdb_ci_logical_datacenter", false, "object_id;region", false),
    ("cmdb_ci_resource_group", false, "object_id", false),
    ("cmdb_ci_availability_zone", false, "object_id", false),
    ("cmdb_ci_vm_instance", false, "object_id", false),
    ("cmdb_ci_network", false, "object_id", false),
    ("cmdb_ci_cloud_subnet", false, "object_id", true),
    ("cmdb_ci_compute_security_group", false, "object_id", false),
    ("cmdb_ci_nic", false, "object_id", false),
    ("cmdb_ci_endpoint_vnic", false, "object_id", false),
    ("cmdb_ci_storage_volume", false, "object_id", false),
    ("cmdb_ci_cloud_load_balancer", false, "object_id", false),
    ("cmdb_ci_cloud_public_ipaddress", false, "object_id", false),
    ("cmdb_ci_cloud_lb_ipaddress", false, "object_id", false),
    ("cmdb_ci_lb_service", false, "object_id", false),
    ("cmdb_ci_lb_pool", false, "object_id", false),
    ("cmdb_ci_lb_pool_member", false, "object_id", false),
    ("cmdb_ci_instance_scale_set", false, "object_id", false),
    ("cmdb_ci_compute_template", false, "object_id,provider", false),
    ("cmdb_ci_os_template", false, "object_id,provider", false),
    ("cmdb_ci_hardware", true, "serial_number;name", false),
    ("cmdb_ci_storage_cluster", true, "name", false),
    ("cmdb_ci_service", true, "name", false),
    ("cmdb_ci_business_app", true, "name", false),
];

/// Class, relationship type, class of the host, whether the host is the parent.
const HOSTS: &[(&str, &str, &str, bool)] = &[
    ("cmdb_ci_logical_datacenter", "Hosted on::Hosts", "cmdb_ci_cloud_service_account", false),
    ("cmdb_ci_resource_group", "Contains::Contained by", "cmdb_ci_azure_datacenter", true),
    ("cmdb_ci_availability_zone", "Contains::Contained by", "cmdb_ci_logical_datacenter", true),
    ("cmdb_ci_vm_instance", "Hosted on::Hosts", "cmdb_ci_logical_datacenter", false),
    ("cmdb_ci_network", "Hosted on::Hosts", "cmdb_ci_logical_datacenter", false),
    ("cmdb_ci_cloud_subnet", "Contains::Contained by", "cmdb_ci_network", true),
    ("cmdb_ci_compute_security_group", "Hosted on::Hosts", "cmdb_ci_logical_datacenter", false),
    ("cmdb_ci_nic", "Hosted on::Hosts", "cmdb_ci_logical_datacenter", false),
    ("cmdb_ci_endpoint_vnic", "Use End Point To::Use End Point From", "cmdb_ci_vm_instance", true),
    ("cmdb_ci_storage_volume", "Hosted on::Hosts", "cmdb_ci_logical_datacenter", false),
    ("cmdb_ci_storage_volume", "Contains::Contained by", "cmdb_ci_computer", true),
    ("cmdb_ci_storage_volume", "Owns::Owned by", "cmdb_ci_storage_cluster", true),
    ("cmdb_ci_cloud_load_balancer", "Hosted on::Hosts", "cmdb_ci_logical_datacenter", false),
    ("cmdb_ci_cloud_public_ipaddress", "Hosted on::Hosts", "cmdb_ci_logical_datacenter", false),
    ("cmdb_ci_cloud_lb_ipaddress", "Owns::Owned by", "cmdb_ci_cloud_load_balancer", true),
    ("cmdb_ci_lb_service", "Hosted on::Hosts", "cmdb_ci_cloud_load_balancer", false),
    ("cmdb_ci_lb_pool", "Hosted on::Hosts", "cmdb_ci_cloud_load_balancer", false),
    ("cmdb_ci_lb_pool", "Hosted on::Hosts", "cmdb_ci_lb_service", false),
    ("cmdb_ci_lb_pool_member", "Owns::Owned by", "cmdb_ci_lb_pool", true),
    ("cmdb_ci_instance_scale_set", "Hosted on::Hosts", "cmdb_ci_logical_datacenter", false),
    ("cmdb_ci_compute_template", "Hosted on::Hosts", "cmdb_ci_logical_datacenter", false),
    ("cmdb_ci_os_template", "Hosted on::Hosts", "cmdb_ci_logical_datacenter", false),
];

/// Relationship types of the base system: the name and, where it is the same on every instance, the identifier.
const RELATION_TYPES: &[(&str, &str)] = &[
    ("Depends on::Used by", "1a9cb166f1571100a92eb60da2bce5c5"),
    ("Contains::Contained by", "55c95bf6c0a8010e0118ec7056ebc54d"),
    ("Runs on::Runs", "60bc4e22c0a8010e01f074cbe6bd73c3"),
    ("Hosted on::Hosts", ""),
    ("Owns::Owned by", ""),
    ("Uses::Used by", ""),
    ("Managed by::Manages", ""),
    ("Members::Member of", ""),
    ("Located in::Houses", ""),
    ("Connects to::Connected by", ""),
    ("Virtualized by::Virtualizes", ""),
    ("Provisioned From::Provisioned", ""),
    ("Use End Point To::Use End Point From", ""),
    ("Implement End Point To::Implement End Point From", ""),
];

/// Labels of values: table, column, value, label.
const CHOICES: &[(&str, &str, &str, &str)] = &[
    ("cmdb_ci", "install_status", "1", "Installed"),
    ("cmdb_ci", "install_status", "2", "On Order"),
    ("cmdb_ci", "install_status", "3", "In Maintenance"),
    ("cmdb_ci", "install_status", "4", "Pending Install"),
    ("cmdb_ci", "install_status", "5", "Pending Repair"),
    ("cmdb_ci", "install_status", "6", "In Stock"),
    ("cmdb_ci", "install_status", "7", "Retired"),
    ("cmdb_ci", "install_status", "8", "Stolen"),
    ("cmdb_ci", "install_status", "100", "Absent"),
    ("cmdb_ci", "operational_status", "1", "Operational"),
    ("cmdb_ci", "operational_status", "2", "Non-Operational"),
    ("cmdb_ci", "operational_status", "3", "Repair in Progress"),
    ("cmdb_ci", "operational_status", "4", "DR Standby"),
    ("cmdb_ci", "operational_status", "5", "Ready"),
    ("cmdb_ci", "operational_status", "6", "Retired"),
    ("cmdb_ci", "operational_status", "7", "Pipeline"),
    ("cmdb_ci", "operational_status", "8", "Catalog"),
    ("cmdb_ci", "discovery_source", "Manual Entry", "Manual Entry"),
    ("cmdb_ci", "discovery_source", "ServiceNow", "ServiceNow"),
    ("cmdb_ci", "discovery_source", "ServiceWatch", "ServiceWatch"),
    ("cmdb_ci", "discovery_source", "SG-AWS", "SG-AWS"),
];

/// Life-cycle stages with their statuses.
const LIFE_CYCLE: &[(&str, &[&str])] = &[
    ("Ideation", &["Under Evaluation", "Pilot"]),
    ("Purchase", &["On Order", "Preallocated"]),
    ("Inventory", &["Available"]),
    ("Design", &["Design", "Chartered", "Build"]),
    ("Deploy", &["Test"]),
    ("Operational", &["In Use", "End of Support", "Pending Retirement"]),
    ("End of Operation", &["On Hold"]),
    ("End of Life", &["Retired", "Obsolete"]),
    ("Missing", &["Missing"]),
    ("Defective", &["Defective"]),
    ("To Be Determined", &["To Be Determined"]),
];

pub(super) fn schema(with_app: bool) -> Schema {
    let mut schema = Schema::default();
    for (name, extends, label, own) in TABLES {
        let is_base = extends.is_empty();
        let system = if is_base { SYSTEM } else { &[] };
        let columns = system.iter().chain(*own).filter_map(|spec| column(*spec, with_app)).collect();
        let table = Table { extends: (!is_base).then(|| (*extends).to_owned()), label: (*label).to_owned(), columns };
        schema.tables.insert((*name).to_owned(), table);
    }
    for (class, independent, entries, app) in RULES {
        if *app && !with_app {
            continue;
        }
        let entries: Vec<Vec<String>> = entries.split(';').map(|entry| entry.split(',').map(str::to_owned).collect()).collect();
        // An identifier on a column that is not there is no identifier.
        let usable = |entry: &&Vec<String>| entry.iter().all(|attribute| schema.column(class, attribute).is_some());
        let entries: Vec<Vec<String>> = entries.iter().filter(usable).cloned().collect();
        if entries.is_empty() {
            continue;
        }
        let label = schema.tables.get(*class).map(|table| table.label.clone()).unwrap_or_default();
        let rule = IdentificationRule { name: format!("{label} Rule"), independent: *independent, entries };
        schema.rules.insert((*class).to_owned(), rule);
    }
    for (class, relation, host, host_is_parent) in HOSTS {
        let rule = HostRule { relation: (*relation).to_owned(), host: (*host).to_owned(), host_is_parent: *host_is_parent };
        schema.hosts.entry((*class).to_owned()).or_default().push(rule);
    }
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    schema.related.insert("cmdb_key_value".to_owned(), words(&["configuration_item", "key"]));
    schema.lookups.insert("cmdb_serial_number".to_owned(), words(&["cmdb_ci", "serial_number", "serial_number_type"]));
    schema
}

fn column((name, spec): Spec, with_app: bool) -> Option<Column> {
    let mut words = spec.split(' ');
    let kind = words.next().unwrap_or("string").to_owned();
    let mut column = Column {
        name: name.to_owned(),
        max_length: if kind == "reference" { 32 } else { 40 },
        kind,
        reference: None,
        mandatory: false,
        display: false,
        default: String::new(),
        read_only: false,
    };
    while let Some(word) = words.next() {
        match word {
            "max" => column.max_length = words.next().and_then(|length| length.parse().ok()).unwrap_or(40),
            "ref" => column.reference = words.next().map(str::to_owned),
            "default" => column.default = words.next().unwrap_or_default().to_owned(),
            "mandatory" => column.mandatory = true,
            "display" => column.display = true,
            "readonly" => column.read_only = true,
            "app" if !with_app => return None,
            _ => {}
        }
    }
    Some(column)
}

/// The records every instance starts with: table, what the identifier is made of (or the identifier), values.
pub(crate) fn base_data(mut add: impl FnMut(&str, &str, BTreeMap<String, String>)) {
    let values = |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    for (name, sys_id) in RELATION_TYPES {
        let (parent, child) = name.split_once("::").unwrap_or((name, ""));
        let key = if sys_id.is_empty() { name } else { sys_id };
        add(
            "cmdb_rel_type",
            key,
            values(&[("name", name), ("sys_name", name), ("parent_descriptor", parent), ("child_descriptor", child)]),
        );
    }
    for (table, element, value, label) in CHOICES {
        let key = format!("{table} {element} {value}");
        add("sys_choice", &key, values(&[("name", table), ("element", element), ("value", value), ("label", label)]));
    }
    for (stage, statuses) in LIFE_CYCLE {
        add("life_cycle_stage", stage, values(&[("name", stage)]));
        let stage_id = base_sys_id(&format!("life_cycle_stage {stage}"));
        for status in *statuses {
            add("life_cycle_stage_status", &format!("{stage} {status}"), values(&[("name", status), ("life_cycle_stage", &stage_id)]));
        }
    }
}
