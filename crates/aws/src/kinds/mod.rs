//! What is listed, a kind a module: the action, and the way from AWS's items to resources and relations.

pub(crate) mod addresses;
pub(crate) mod balancers;
pub(crate) mod classic;
pub(crate) mod instance_types;
pub(crate) mod instances;
pub(crate) mod interfaces;
pub(crate) mod listeners;
pub(crate) mod networks;
pub(crate) mod pools;
pub(crate) mod regions;
pub(crate) mod scaling_groups;
pub(crate) mod security_groups;
pub(crate) mod subnets;
pub(crate) mod volumes;
pub(crate) mod zones;
