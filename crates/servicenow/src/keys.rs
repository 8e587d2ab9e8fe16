//! Our keys as an instance keeps them.

use dewpoint_core::model::{Account, Key, Kind, Provider, Region};
use dewpoint_core::target::Ci;

/// A key as `source_native_key`: the ARN or the Azure resource id; keys of derived resources as they are.
pub(crate) fn native_key(key: &Key) -> &str {
    let text = key.as_str();
    text.strip_prefix("aws:").or_else(|| text.strip_prefix("azure:")).unwrap_or(text)
}

/// The key behind a `source_native_key`; `None` for one that we would not write.
pub(crate) fn key_of(native: &str) -> Option<Key> {
    let text = if native.starts_with("arn:") {
        format!("aws:{native}")
    } else if native.starts_with("/subscriptions/") {
        format!("azure:{native}")
    } else {
        native.to_owned()
    };
    text.parse().ok()
}

/// The `object_id` of a CI's record, by which the instance identifies it: the id that discovery patterns and connectors use as well, so that what they
/// made is found. Where that is a mere name (a scaling group's, a pool's), or nothing of a cloud's, the whole key, since names repeat.
pub(crate) fn object_id(ci: &Ci) -> String {
    object_id_of(&ci.key, ci.kind, &ci.native_id, &ci.account, &ci.region)
}

/// [`object_id`], from its parts.
pub(crate) fn object_id_of(key: &Key, kind: Kind, native_id: &str, account: &Account, region: &Region) -> String {
    if kind == Kind::Account {
        return account.to_string();
    }
    if kind == Kind::Region {
        return region.to_string();
    }
    let is_name = matches!(kind, Kind::ScalingGroup | Kind::LoadBalancer | Kind::Pool | Kind::Service);
    if is_name || key.is_derived() || key.provider() == Provider::Azure { native_key(key).to_owned() } else { native_id.to_owned() }
}

/// The keys that an account and a region would have as resources.
pub(crate) fn place_keys(provider: Provider, account: &Account, region: &Region) -> Option<(Key, Key)> {
    match provider {
        Provider::Aws => {
            let partition = match region.as_str() {
                name if name.starts_with("cn-") => "aws-cn",
                name if name.starts_with("us-gov-") => "aws-us-gov",
                _ => "aws",
            };
            let of_account = Key::aws(&format!("arn:{partition}:iam::{account}:root")).ok()?;
            let of_region = Key::aws(&format!("arn:{partition}:ec2:{region}:{account}:region/{region}")).ok()?;
            Some((of_account, of_region))
        }
        Provider::Azure => {
            let of_account = Key::azure(&format!("/subscriptions/{account}")).ok()?;
            let of_region = Key::azure(&format!("/subscriptions/{account}/locations/{region}")).ok()?;
            Some((of_account, of_region))
        }
        Provider::Any => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn native_keys_lead_back_to_the_key() {
        for text in [
            "aws:arn:aws:ec2:eu-west-1:123456789012:instance/i-0abc",
            "azure:/subscriptions/s/resourcegroups/g/providers/microsoft.compute/virtualmachines/vm",
            "fleet:aws:123456789012:eu-west-1:karpenter/a:b",
            "service:shop",
        ] {
            let key: Key = text.parse().unwrap();
            assert_eq!(key_of(native_key(&key)), Some(key));
        }
        assert_eq!(key_of("i-0abc"), None);
    }
}
