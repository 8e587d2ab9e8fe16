//! The parts of an AWS source as written. The comments here are the descriptions in the published schema.

use std::borrow::Cow;
use std::marker::PhantomData;

use dewpoint_aws_settings::Rates;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::leaf::{AccountId, RoleArn};
use crate::config::leaf::Written;
use crate::config::rates::rates;
use crate::config::secret::SecretRef;

/// A word that stands for everything there is, in place of a list.
pub(in crate::config) trait Word {
    const WORD: &'static str;
    /// What can stand there, for those who wrote something else.
    const HELP: &'static str;
}

/// All regions.
#[derive(Debug)]
pub(in crate::config) struct All;

impl Word for All {
    const WORD: &'static str = "all";
    const HELP: &'static str = "write `all`, or a list such as `[eu-west-1, eu-central-1]`";
}

/// All accounts of the organization.
#[derive(Debug)]
pub(in crate::config) struct Organization;

impl Word for Organization {
    const WORD: &'static str = "organization";
    const HELP: &'static str =
        "write `organization`, or a list such as `[{ id: \"123456789012\" }]`, or leave the key out for the account of the credentials";
}

/// A list that is not empty; or `None`, which is written as the word.
#[derive(Debug)]
pub(in crate::config) struct ListOr<W, L>(pub(in crate::config) Option<L>, PhantomData<W>);

impl<W, L> ListOr<W, L> {
    /// Everything there is.
    pub(in crate::config) const fn word() -> Self {
        Self(None, PhantomData)
    }
}

impl<W: Word, L: Serialize> Serialize for ListOr<W, L> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(list) => list.serialize(serializer),
            None => serializer.serialize_str(W::WORD),
        }
    }
}

impl<'de, W: Word, L: DeserializeOwned> Deserialize<'de> for ListOr<W, L> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        if value.as_str() == Some(W::WORD) {
            return Ok(Self::word());
        }
        L::deserialize(value).map(|list| Self(Some(list), PhantomData)).map_err(serde::de::Error::custom)
    }
}

impl<W: Word, L: JsonSchema> JsonSchema for ListOr<W, L> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("{}_or_{}", W::WORD, L::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut list = generator.subschema_for::<L>();
        list.insert("minItems".to_owned(), 1.into());
        json_schema!({ "anyOf": [{ "const": W::WORD }, list], "x-help": W::HELP })
    }
}

/// An AWS account to read.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AwsAccount", extend("x-help" = "write each account as `{ id: \"123456789012\" }`"))]
pub(in crate::config) struct RawAccount {
    /// Id of the account: twelve digits in quotes.
    pub(in crate::config) id: Written<AccountId>,
    /// ARN of the role to read it as. Without it the role of the name in `role_name`, or none where the credentials are the account's own.
    #[serde(default)]
    pub(in crate::config) role_arn: Option<Written<RoleArn>>,
    /// External id that the role's trust policy asks for, as a reference: `env:NAME` or `file:PATH`. Without it that of the source.
    #[serde(default)]
    pub(in crate::config) external_id: Option<Written<SecretRef>>,
}

rates! {
    /// How many calls are made at most, by API. Each account has these budgets anew in each region.
    RawRates, "AwsRates", Rates;
    /// Calls an account gets in a region: `burst` at once, then `requests_per_second`.
    each {
        /// EC2.
        ec2: RawEc2Rate, "AwsEc2Rate";
        /// Elastic Load Balancing, both generations.
        load_balancing: RawLoadBalancingRate, "AwsLoadBalancingRate";
        /// Auto Scaling.
        auto_scaling: RawAutoScalingRate, "AwsAutoScalingRate";
        /// Organizations.
        organizations: RawOrganizationsRate, "AwsOrganizationsRate";
        /// STS.
        sts: RawStsRate, "AwsStsRate";
    }
}
